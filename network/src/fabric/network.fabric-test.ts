// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import { controlNetwork } from '../supervisor/control.js';
import { networkClean, networkDown } from '../supervisor/down.js';
import { networkPaths } from '../supervisor/paths.js';
import { poll } from '../supervisor/poll.js';
import { networkStatus } from '../supervisor/status.js';
import { networkUp } from '../supervisor/up.js';
import { deployChaincode, upgradeChaincode } from './deploy.js';
import { newTestClient } from './testing/client.js';
import { newTestFolder, requireFabric } from './testing/network.js';

/** All files below a folder. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesOf(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

const codeOf = async (action: Promise<unknown>): Promise<unknown> =>
  action.then(
    () => 'accepted',
    (error: unknown) => (error instanceof NetworkError ? error.code : error),
  );

describe('A network of real Fabric', function () {
  this.timeout(180_000);
  requireFabric(this);
  const folder = newTestFolder();
  const { options } = folder;
  const paths = networkPaths(options.home, 'fabric');

  after(() => folder.remove());

  const put = async (key: string, value: string): Promise<void> => {
    const client = await newTestClient(options.home, 'grid');
    try {
      await client.contract.submitTransaction('put', key, value);
    } finally {
      client.close();
    }
  };
  const get = async (organisation: string, key: string): Promise<string> => {
    const client = await newTestClient(options.home, organisation);
    try {
      return Buffer.from(await client.contract.evaluateTransaction('get', key)).toString();
    } finally {
      client.close();
    }
  };
  const awaitValue = (organisation: string, key: string, value: string): Promise<true | undefined> =>
    poll(async () => ((await get(organisation, key)) === value ? true : undefined), 20_000);

  it('is brought up from nothing, and commits', async () => {
    const status = await networkUp(options);
    expect(status).to.deep.include({ running: true, kind: 'fabric', trust: 'single-operator' });
    expect(status.nodes.map(({ kind }) => kind).sort()).to.deep.equal(
      ['ca', 'chaincode', 'orderer', 'peer'].flatMap((kind) => [kind, kind, kind, kind]),
    );
    expect(status.nodes.every(({ running }) => running)).to.equal(true);
    await put('first', 'written');
    for (const organisation of ['grid', 'maker', 'city', 'regulator']) {
      expect(await awaitValue(organisation, 'first', 'written')).to.equal(true);
    }
  });

  it('is harmless to bring up twice', async () => {
    const before = await networkStatus(options);
    const after = await networkUp(options);
    expect(after.pid).to.equal(before.pid);
    expect(after.nodes.map(({ pid }) => pid)).to.deep.equal(before.nodes.map(({ pid }) => pid));
  });

  it('keeps private keys and secrets to its owner', () => {
    const secret = filesOf(paths.state).filter((file) =>
      /(^|\/)(key\.pem|server\.key|[^/]*_sk|fabric-ca-server-config\.yaml|connection\.json)$/.test(file),
    );
    expect(secret.length).to.be.greaterThan(20);
    for (const file of secret.filter((name) => !name.includes('/externalbuilder/'))) {
      expect((statSync(file).mode & 0o077).toString(8), file).to.equal('0');
    }
  });

  it('starts a process again that was killed, and goes on', async () => {
    for (const name of ['peer.city', 'orderer.maker', 'ca.regulator']) {
      const pid = (await networkStatus(options)).nodes.find((node) => node.name === name)?.pid;
      process.kill(pid ?? 0, 'SIGKILL');
      const again = await poll(async () => {
        const node = (await networkStatus(options)).nodes.find((candidate) => candidate.name === name);
        return node?.running === true && node.pid !== pid ? node : undefined;
      }, 30_000);
      expect(again, name).to.deep.include({ restarts: 1 });
    }
    await put('after kills', 'written');
    expect(await awaitValue('city', 'after kills', 'written')).to.equal(true);
  });

  it('restarts processes by name, and names those there are', async () => {
    const pidOf = async (name: string) => (await networkStatus(options)).nodes.find((node) => node.name === name)?.pid;
    const before = await pidOf('peer.maker');
    await controlNetwork(paths, { action: 'restart', nodes: ['peer.maker'] });
    expect(await pidOf('peer.maker'))
      .to.be.a('number')
      .and.not.equal(before);
    expect(await codeOf(controlNetwork(paths, { action: 'restart', nodes: ['peer.nobody'] }))).to.equal('NODE_UNKNOWN');
  });

  it('upgrades its chaincode on the populated ledger, and ends the old processes', async () => {
    const file = join(folder.chaincode, 'index.js');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('async get(ctx, key) {', 'async get(ctx, key) {\n    key = key.trim();'),
    );
    const result = await upgradeChaincode(options);
    expect(result).to.deep.include({ committed: true, sequence: 2, missing: [] });
    expect(await get('city', '  first ')).to.equal('written');
    const chaincodes = (await networkStatus(options)).nodes.filter(({ kind }) => kind === 'chaincode');
    expect(chaincodes).to.have.length(4);
    expect(chaincodes.every(({ name }) => name.includes(result.codeSha256.slice(0, 12)))).to.equal(true);
    expect(await upgradeChaincode(options)).to.deep.include({ committed: true, sequence: 2 });
  });

  it('runs another chaincode beside the first', async () => {
    const result = await deployChaincode({ name: 'other', version: '1', path: folder.chaincode }, options);
    expect(result.committed).to.equal(true);
    const client = await newTestClient(options.home, 'maker', 'other');
    try {
      await client.contract.submitTransaction('put', 'first', 'of the other');
      expect(await get('maker', 'first')).to.equal('written');
    } finally {
      client.close();
    }
    expect(await codeOf(deployChaincode({ name: 'none', version: '1', path: options.home }, options))).to.equal(
      'CHAINCODE_INVALID',
    );
  });

  it('is repaired by the next start when its supervisor was killed, and loses nothing', async () => {
    const { pid } = await networkStatus(options);
    process.kill(pid ?? 0, 'SIGKILL');
    await poll(async () => ((await networkStatus(options)).running ? undefined : true), 10_000);
    expect((await networkUp(options)).running).to.equal(true);
    expect(await get('regulator', 'first')).to.equal('written');
    await put('after repair', 'written');
  });

  it('goes down and comes up with its ledger', async () => {
    await networkDown(options);
    expect(await networkStatus(options)).to.deep.include({ running: false, kind: 'fabric' });
    await networkUp(options);
    expect(await get('grid', 'after repair')).to.equal('written');
  });

  it('is refused to other kinds and topologies, and is not half-deleted', async () => {
    expect(await codeOf(networkUp({ ...options, network: 'embedded' as never }))).to.equal('STATE_FOREIGN');
    const other = `${options.topologyPath}.other`;
    writeFileSync(other, readFileSync(options.topologyPath, 'utf8').replace('sevchannel', 'elsewhere'));
    expect(await codeOf(networkUp({ ...options, topologyPath: other }))).to.equal('STATE_FOREIGN');
    await networkClean(options);
    expect([paths.state, paths.profile, paths.organisations].filter(existsSync)).to.deep.equal([]);
  });

  it('is repaired by the next start at whatever step the first was killed', async () => {
    const seed = Number(process.env['SEV_TEST_SEED'] ?? Date.now() % 100_000);
    process.stdout.write(`    seed ${seed.toString()}\n`);
    const kills = process.env['SEV_TEST_FULL'] === '1' ? 8 : 2;
    for (let index = 0; index < kills; index++) {
      const starting = networkUp(options).then(
        () => 'up',
        () => 'killed',
      );
      const delayMs = 500 + ((seed * 7919 + index * 104_729) % 9_000);
      const end = Date.now() + delayMs;
      await poll(() => (Date.now() >= end ? true : undefined), delayMs + 1_000);
      const { pid } = await networkStatus(options);
      if (pid !== undefined) {
        process.kill(pid, 'SIGKILL');
      }
      await starting;
    }
    expect((await networkUp(options)).running).to.equal(true);
    await put('after half-starts', 'written');
    expect(await awaitValue('regulator', 'after half-starts', 'written')).to.equal(true);
  });
});

describe('A network of real Fabric with Raft', function () {
  this.timeout(180_000);
  requireFabric(this);
  const folder = newTestFolder((topology) => topology.replace('consensus: bft', 'consensus: raft'));
  after(() => folder.remove());

  it('orders as the other does', async () => {
    await networkUp(folder.options);
    const client = await newTestClient(folder.options.home, 'city');
    try {
      await client.contract.submitTransaction('put', 'raft', 'written');
      expect(Buffer.from(await client.contract.evaluateTransaction('get', 'raft')).toString()).to.equal('written');
    } finally {
      client.close();
    }
  });
});
