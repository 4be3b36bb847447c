// SPDX-License-Identifier: Apache-2.0
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import FabricCAServices from 'fabric-ca-client';
import { User } from 'fabric-common';
import { connectClient } from '../embedded/testing/client.js';
import { NetworkError } from '../errors.js';
import { networkClean, networkDown } from './down.js';
import { networkPaths, registrarPath } from './paths.js';
import { poll } from './poll.js';
import { identifyProcess, isAlive } from './process.js';
import { loadConnectionProfile } from './profile.js';
import { networkStatus } from './status.js';
import { networkUp } from './up.js';

const CHAINCODE = fileURLToPath(new URL('../../fixtures/testcc', import.meta.url));
const TOPOLOGY = `schemaVersion: 1
name: test
channel: testchannel
organisations:
  - name: grid
    mspId: GridOperatorMSP
    ports: { gateway: 7051, ca: 7054, chaincode: 7052 }
  - name: maker
    mspId: ManufacturerMSP
    ports: { gateway: 8051, ca: 8054, chaincode: 8052 }
chaincode: { name: testcc, version: "1.0", path: ${JSON.stringify(CHAINCODE)} }
`;

describe('A network in the background', function () {
  this.timeout(120_000);
  // A blank in the path: nothing on the way may split it.
  const directory = mkdtempSync(join(tmpdir(), 'sev network '));
  const options = {
    home: join(directory, 'home'),
    topologyPath: join(directory, 'consortium.yaml'),
    network: 'embedded' as const,
  };
  const paths = networkPaths(options.home);
  const offsetBefore = process.env['SEV_PORT_OFFSET'];

  before(() => {
    writeFileSync(options.topologyPath, TOPOLOGY);
    process.env['SEV_PORT_OFFSET'] = 'ephemeral';
  });
  after(async () => {
    await networkClean(options);
    rmSync(directory, { recursive: true, force: true });
    if (offsetBefore === undefined) {
      delete process.env['SEV_PORT_OFFSET'];
    } else {
      process.env['SEV_PORT_OFFSET'] = offsetBefore;
    }
  });

  const codeOf = async (action: Promise<unknown>): Promise<unknown> =>
    action.then(
      () => 'accepted',
      (error: unknown) => (error instanceof NetworkError ? error.code : error),
    );
  const caClient = async (): Promise<FabricCAServices> => {
    const [organisation] = (await loadConnectionProfile(paths.profile)).organisations;
    const { url, caName, tlsCaCert } = organisation!.ca;
    return new FabricCAServices(url, { trustedRoots: [tlsCaCert], verify: true }, caName, User.newCryptoSuite());
  };
  const enroll = async (enrollmentID: string, enrollmentSecret: string): Promise<User> => {
    const { certificate, key } = await (await caClient()).enroll({ enrollmentID, enrollmentSecret });
    return User.createUser(enrollmentID, '', 'GridOperatorMSP', certificate, key.toBytes());
  };
  const enrollRegistrar = async (): Promise<User> => {
    const registrar = JSON.parse(readFileSync(registrarPath(paths, 'grid'), 'utf8')) as Record<string, string>;
    return enroll(registrar['enrollmentId']!, registrar['enrollmentSecret']!);
  };
  const registerClient = async (enrollmentID: string): Promise<{ enrollmentID: string; enrollmentSecret: string }> => {
    const registration = { enrollmentID, affiliation: '', role: 'client' };
    const enrollmentSecret = await (await caClient()).register(registration, await enrollRegistrar());
    return { enrollmentID, enrollmentSecret };
  };

  it('is not there at first, and going down or away is harmless then', async () => {
    expect((await networkStatus(options)).running).to.equal(false);
    expect(await codeOf(loadConnectionProfile(paths.profile))).to.equal('NETWORK_NOT_RUNNING');
    await networkDown(options);
    await networkClean(options);
  });

  it('comes up once however often it is asked for at the same time', async () => {
    const [one, other] = await Promise.all([networkUp(options), networkUp(options)]);
    expect(one.running).to.equal(true);
    expect(other.pid).to.equal(one.pid);
    expect(one).to.include({ kind: 'embedded', trust: 'single-operator', height: 1, channel: 'testchannel' });
    expect(one.organisations.map(({ chaincode }) => chaincode?.running)).to.deep.equal([true, true]);
    expect(one.reason).to.be.a('string');
    expect((await networkUp(options)).pid).to.equal(one.pid);
  });

  it('leaves applications what they need, and keeps keys and secrets to its owner', async () => {
    const profile = await loadConnectionProfile(paths.profile);
    expect(profile.network).to.deep.equal({ kind: 'embedded', trust: 'single-operator', name: 'test' });
    expect(profile.genesisHash).to.equal((await networkStatus(options)).genesisHash);
    expect((await enrollRegistrar()).isEnrolled()).to.equal(true);
    const mode = (path: string): number => statSync(path).mode & 0o777;
    expect(mode(registrarPath(paths, 'grid'))).to.equal(0o600);
    expect(mode(paths.processFile)).to.equal(0o600);
    expect(mode(join(paths.crypto, 'grid', 'identity-ca.key'))).to.equal(0o600);
    expect([mode(paths.state), mode(join(paths.crypto, 'grid'))]).to.deep.equal([0o700, 0o700]);
    expect(readFileSync(paths.log, 'utf8')).not.to.contain('PRIVATE KEY');
  });

  it('is repaired by coming up again after its process was killed, with the same ports, keys, registrations and ledger', async () => {
    const before = await networkStatus(options);
    const chaincode = before.organisations.map((organisation) => identifyProcess(organisation.chaincode!.pid!)!);
    const profile = readFileSync(paths.profile, 'utf8');
    const { enrollmentSecret: secret } = await registerClient('v-1');
    process.kill(before.pid!, 'SIGKILL');
    const after = await networkUp(options);
    expect(after.running).to.equal(true);
    expect(after.pid).not.to.equal(before.pid);
    expect(after.genesisHash).to.equal(before.genesisHash);
    expect(readFileSync(paths.profile, 'utf8')).to.equal(profile);
    expect(chaincode.map(isAlive)).to.deep.equal([false, false]);
    expect((await enroll('v-1', secret)).getName()).to.equal('v-1');
  });

  it('refuses to come up on its state for another channel', async () => {
    const other = join(directory, 'other.yaml');
    writeFileSync(other, TOPOLOGY.replace('testchannel', 'otherchannel'));
    expect(await codeOf(networkUp({ ...options, topologyPath: other }))).to.equal('STATE_FOREIGN');
  });

  it('goes down in order, keeps what it knows, and names a port that was taken meanwhile', async () => {
    const { pid } = await networkStatus(options);
    const background = identifyProcess(pid!)!;
    await networkDown(options);
    await networkDown(options);
    expect(isAlive(background)).to.equal(false);
    expect((await networkStatus(options)).running).to.equal(false);

    const { organisations } = await loadConnectionProfile(paths.profile);
    const port = Number(organisations[1]!.gateway.address.split(':')[1]);
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    const refused = await networkUp(options).catch((error: unknown) => error as NetworkError);
    expect(refused).to.have.property('code', 'PORT_IN_USE');
    expect((refused as NetworkError).message)
      .to.contain(String(port))
      .and.to.contain('SEV_PORT_OFFSET');
    squatter.close();
    await once(squatter, 'close');
    expect((await networkUp(options)).running).to.equal(true);
  });

  it('ends loudly when it can no longer commit, and comes up again without what was not committed', async function () {
    if (spawnSync('prlimit', ['--version']).error !== undefined) {
      this.skip(); // Nothing else makes a write of another process fail.
    }
    const { pid, height } = await networkStatus(options);
    const background = identifyProcess(pid!)!;
    const { certificate, key } = await (await caClient()).enroll(await registerClient('writer'));
    const [organisation] = (await loadConnectionProfile(paths.profile)).organisations;
    const client = connectClient(
      {
        mspId: organisation!.mspId,
        client: { certificatePem: certificate, privateKeyPem: key.toBytes() },
        tlsCa: { certificatePem: organisation!.gateway.tlsCaCert },
      },
      Number(organisation!.gateway.address.split(':')[1]),
    );
    try {
      const limit = statSync(paths.log).size + 200_000;
      execFileSync('prlimit', ['--pid', String(pid), `--fsize=${String(limit)}`]);
      const lost = await client.contract.submitAsync('put', { arguments: ['large', 'x'.repeat(limit)] });
      const error: unknown = await lost.getStatus().catch((reason: unknown) => reason);
      expect(error).to.have.property('code', status.UNAVAILABLE);
    } finally {
      client.close();
    }
    await poll(() => !isAlive(background) || undefined, 20_000);
    expect(await networkStatus(options)).to.include({ running: false, pid: undefined });
    expect(readFileSync(paths.log, 'utf8')).to.contain('nothing can be committed any longer');
    expect(await networkUp(options)).to.include({ running: true, height });
  });

  it('says that its ledger is damaged, or not its own, and what to do', async () => {
    const refusal = async (): Promise<NetworkError> =>
      networkUp(options).then(
        () => expect.fail('accepted'),
        (error: unknown) => error as NetworkError,
      );
    await networkDown(options);
    const blocks = join(paths.ledger, 'blocks', 'blockfile_000000');
    const content = readFileSync(blocks);
    writeFileSync(blocks, content.subarray(0, -1));
    const damaged = await refusal();
    expect(damaged).to.be.instanceOf(NetworkError).with.property('code', 'DATA_LOSS');
    expect(damaged.message).to.match(/block 0 was committed .* delete .* with clean$/);
    writeFileSync(blocks, content);

    renameSync(join(paths.crypto, 'grid'), join(directory, 'grid'));
    const foreign = await refusal();
    expect(foreign).to.be.instanceOf(NetworkError).with.property('code', 'STATE_FOREIGN');
    expect(foreign.message).to.match(/delete it with clean$/);
    rmSync(join(paths.crypto, 'grid'), { recursive: true });
    renameSync(join(directory, 'grid'), join(paths.crypto, 'grid'));
    expect((await networkUp(options)).running).to.equal(true);
  });

  it('is deleted with its keys, ledger and what applications were told', async () => {
    await networkClean(options);
    expect([paths.state, paths.profile, paths.organisations].filter(existsSync)).to.deep.equal([]);
    const status = await networkStatus(options);
    expect(status).to.include({ running: false, name: undefined });
  });

  it('says why it does not start', async () => {
    const other = join(directory, 'broken.yaml');
    writeFileSync(other, TOPOLOGY.replace(JSON.stringify(CHAINCODE), '/nowhere'));
    const refused = await networkUp({ ...options, topologyPath: other }).catch(
      (error: unknown) => error as NetworkError,
    );
    expect(refused).to.have.property('code', 'NETWORK_START_FAILED');
    expect((refused as NetworkError).message).to.contain('/nowhere');
    await networkClean(options);
  });
});
