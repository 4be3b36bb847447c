// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, randomInt } from 'node:crypto';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { connect, EndorseError, hash, signers } from '@hyperledger/fabric-gateway';
import type { ConsortiumRecord, ProposalRecord } from '@sev/chaincode/api';
import { findPrograms, type BundleSummary, type NetworkStatus, type OrganisationSummary } from '@sev/network';
import { expect } from 'chai';
import type { ConnectionProfile } from '../config/index.js';
import { openWallet } from '../identity/index.js';
import { Sandbox, type Ending, type Problem, type Surroundings } from './testing/sandbox.js';
import { privateKeysIn, secretsWithin, filesIn } from './testing/secrets.js';

const FOUNDERS = ['grid', 'maker', 'city', 'regulator'] as const;
const NEWCOMER = 'fleet';
const ALL = [...FOUNDERS, NEWCOMER] as const;
const MSP_IDS: Readonly<Record<string, string>> = {
  grid: 'GridOperatorMSP',
  maker: 'ManufacturerMSP',
  city: 'CityMSP',
  regulator: 'RegulatorMSP',
  fleet: 'FleetMSP',
};
/** An organisation that others do not reach as localhost, where the machine has a second loopback address. */
const ELSEWHERE = process.platform === 'linux' ? { city: '127.0.0.2' } : {};
/** Ledgers and logs of the consensus are not searched byte by byte: keys are in small files. */
const SEARCHED_BYTES = 1024 * 1024;

/** Ports below those that the system gives to outgoing connections. */
async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(20_000, 32_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer().once('error', () => {
        resolve(false);
      });
      server.listen(port, '127.0.0.1', () =>
        server.close(() => {
          resolve(true);
        }),
      );
    });
    if (isFree) {
      found.add(port);
    }
  }
  return [...found];
}

/** An organisation as if it were on a machine of its own: its own folders, and what was carried there as files. */
class Machine {
  readonly folder: string;
  readonly networkHome: string;
  readonly home: string;
  readonly surroundings: Surroundings;

  constructor(
    readonly sandbox: Sandbox,
    readonly name: string,
  ) {
    this.folder = join(sandbox.directory, 'machines', name);
    this.networkHome = join(this.folder, 'network');
    this.home = join(this.folder, 'home');
    const env = { NETWORK: 'fabric', SEV_NETWORK_HOME: this.networkHome, SEV_HOME: this.home, HOME: this.folder };
    this.surroundings = { cwd: this.folder, env: sandbox.bareEnv(env) };
  }

  json<T>(...args: readonly string[]): Promise<T> {
    return this.sandbox.json<T>(args, this.surroundings);
  }

  problem(...args: readonly string[]): Promise<Problem> {
    return this.sandbox.problem(args, this.surroundings);
  }

  run(...args: readonly string[]): Promise<Ending> {
    return this.sandbox.sev(args, this.surroundings);
  }

  async profile(): Promise<ConnectionProfile> {
    return JSON.parse(await readFile(join(this.networkHome, 'connection.json'), 'utf8')) as ConnectionProfile;
  }
}

describe('a consortium of organisations apart', function () {
  this.timeout(300_000);

  let sandbox: Sandbox | undefined;
  /** What is handed from one to another; everything else stays where it is. */
  let exchange: string;
  const machines = new Map<string, Machine>();
  const at = (name: string): Machine => machines.get(name)!;
  const part = (name: string): string => join(exchange, `${name}.json`);
  const topology = (organisations: number): string => join(exchange, `consortium-of-${organisations}.yaml`);
  let bundle: BundleSummary;

  before(async function () {
    try {
      await findPrograms();
    } catch (error) {
      process.stdout.write(`  skipped: ${String(error)}\n`);
      this.skip();
    }
    const opened = await Sandbox.open();
    sandbox = opened;
    exchange = join(opened.directory, 'exchange');
    await mkdir(exchange);
    for (const name of ALL) {
      machines.set(name, new Machine(opened, name));
      await mkdir(at(name).folder, { recursive: true });
    }
    await writeTopologies();
  });

  after(async () => {
    await Promise.all([...machines.values()].map((machine) => machine.run('network', 'clean')));
    await sandbox?.close();
  });

  async function writeTopologies(): Promise<void> {
    const ports = await freePorts(ALL.length * 8);
    const entries = ALL.map((name, index) => {
      const [gateway, ca, chaincode, peerOperations, caOperations, port, admin, operations] = ports.slice(index * 8);
      const host = (ELSEWHERE as Record<string, string>)[name];
      return [
        `  - name: ${name}`,
        `    mspId: ${MSP_IDS[name]!}`,
        ...(host === undefined ? [] : [`    host: ${host}`, `    listen: ${host}`]),
        `    ports: { gateway: ${gateway}, ca: ${ca}, chaincode: ${chaincode}, peerOperations: ${peerOperations}, caOperations: ${caOperations} }`,
        `    orderer: { port: ${port}, admin: ${admin}, operations: ${operations} }`,
      ].join('\n');
    });
    const shipped = new URL('../../../chaincode', import.meta.url).pathname;
    for (const count of [FOUNDERS.length, ALL.length]) {
      const text = [
        'schemaVersion: 1',
        'name: apart',
        'channel: apart',
        'organisations:',
        ...entries.slice(0, count),
        `chaincode: { name: sev, version: '0.1.0', path: ${shipped} }`,
        '',
      ].join('\n');
      await writeFile(topology(count), text);
    }
  }

  /** A proposed change of the channel goes from its proposer by another to a third, who submits it: three signatures. */
  async function decideChannel(file: string, ...proposal: readonly string[]): Promise<void> {
    const path = join(exchange, file);
    await at('grid').json('network', 'org', ...proposal, '--out', path);
    await at('maker').json('network', 'org', 'sign', path);
    await at('city').json('network', 'org', 'submit', path);
  }

  async function decideGovernance(...proposal: readonly string[]): Promise<void> {
    const { proposalId } = await at('grid').json<ProposalRecord>('governance', ...proposal);
    await Promise.all(['maker', 'city'].map((name) => at(name).json('governance', 'vote', proposalId)));
    await at('city').json('governance', 'execute', proposalId);
  }

  const members = async (name: string): Promise<string[]> =>
    (await at(name).json<ConsortiumRecord>('governance', 'show')).organisations.map(({ mspId }) => mspId);

  it('make their own keys, each in its own home, and hand out a public part', async () => {
    const made = await Promise.all(
      ALL.map((name) => {
        const file = topology(name === NEWCOMER ? ALL.length : FOUNDERS.length);
        return at(name).json<OrganisationSummary>('network', 'org', 'init', name, '--topology', file);
      }),
    );
    expect(new Set(made.map(({ fingerprint }) => fingerprint)).size).to.equal(ALL.length);
    const exported = await Promise.all(
      ALL.map((name) => at(name).json<OrganisationSummary>('network', 'org', 'export', '--out', part(name))),
    );
    expect(exported).to.deep.equal(made);
  });

  it('refuse what does not fit before anything starts', async () => {
    const compose = ['network', 'org', 'compose', '--out', join(exchange, 'wrong')];
    const changed = JSON.parse(await readFile(part('maker'), 'utf8')) as { part: { peer: { port: number } } };
    changed.part.peer.port += 1;
    await writeFile(join(exchange, 'changed.json'), JSON.stringify(changed));
    const parts = FOUNDERS.map(part);
    const mistakes: [string, Promise<Problem>][] = [
      ['PART_INVALID', at('grid').problem(...compose, ...parts.slice(1))],
      ['PART_INVALID', at('grid').problem(...compose, ...parts.slice(1), join(exchange, 'changed.json'))],
      ['PART_INVALID', at('grid').problem(...compose, ...parts.slice(1), topology(4))],
      ['ORGANISATION_UNKNOWN', at('grid').problem(...compose, ...parts, part(NEWCOMER))],
      ['CHANNEL_MISSING', at('maker').problem('network', 'up')],
      ['STATE_FOREIGN', at('city').problem('network', 'org', 'init', 'regulator', '--topology', topology(4))],
      ['ORGANISATION_UNKNOWN', at('city').problem('network', 'org', 'init', 'nobody', '--topology', topology(4))],
    ];
    for (const [code, mistake] of mistakes) {
      const { error } = await mistake;
      expect(error.code, error.message).to.equal(code);
    }
  });

  it('compose a genesis block that each of them works out for itself before it accepts it', async () => {
    const folder = join(exchange, 'bundle');
    const other = join(exchange, 'other-rules');
    const lax = join(exchange, 'lax.yaml');
    await writeFile(lax, `${await readFile(topology(4), 'utf8')}ordering: { maxMessageCount: 1 }\n`);
    await at('grid').json('network', 'org', 'compose', ...FOUNDERS.map(part), '--out', folder);
    await at('grid').json('network', 'org', 'compose', ...FOUNDERS.map(part), '--out', other, '--topology', lax);
    const refused = await at('maker').problem('network', 'org', 'accept', other);
    expect(refused.error.code).to.equal('BUNDLE_INVALID');
    expect(refused.error.message).to.contain('BatchSize');
    const accepted = await Promise.all(
      FOUNDERS.map((name) => at(name).json<BundleSummary>('network', 'org', 'accept', folder, part('regulator'))),
    );
    [bundle] = accepted as [BundleSummary];
    expect(new Set(accepted.map(({ genesisHash }) => genesisHash)).size).to.equal(1);
    expect(bundle.organisations.map(({ name }) => name)).to.deep.equal([...FOUNDERS]);
  });

  it('start one by one: who comes first waits, and goes on when the others are there', async () => {
    const early = await at('grid').problem('network', 'up', '--wait', '1');
    expect(early.error.code, early.error.message).to.equal('ORDERERS_MISSING');
    expect(early.error.message).to.contain('1 of 4 answer, 3 are needed');
    expect((await at('grid').json<NetworkStatus>('network', 'status')).running).to.equal(true);
    const states = await Promise.all(FOUNDERS.map((name) => at(name).json<NetworkStatus>('network', 'up')));
    for (const [index, state] of states.entries()) {
      expect(state).to.include({ running: true, trust: 'consortium', genesisHash: bundle.genesisHash });
      expect(new Set(state.nodes.map(({ organisation }) => organisation))).to.deep.equal(new Set([FOUNDERS[index]]));
      expect(state.nodes.map(({ kind }) => kind)).to.have.members(['ca', 'orderer', 'peer', 'chaincode']);
    }
  });

  it('have one consortium on the ledger, with the keys that each handed out', async () => {
    const records = await Promise.all(FOUNDERS.map((name) => at(name).json<ConsortiumRecord>('governance', 'show')));
    for (const record of records) {
      expect(record).to.deep.equal(records[0]);
    }
    for (const name of FOUNDERS) {
      const { governance } = (
        JSON.parse(await readFile(part(name), 'utf8')) as {
          part: { governance: { organisation: unknown } };
        }
      ).part;
      expect(records[0]!.organisations).to.deep.include(governance.organisation);
    }
  });

  it('refuse to do without an orderer that they need', async () => {
    const refused = await at('grid').problem('network', 'org', 'propose-remove', 'city', '--out', join(exchange, 'no'));
    expect(refused.error.code).to.equal('FAULT_TOLERANCE');
  });

  it('sign no change of the channel that is not what it says', async () => {
    const honest = join(exchange, 'honest.json');
    await at('grid').json('network', 'org', 'propose-add', part(NEWCOMER), '--out', honest);
    const update = JSON.parse(await readFile(honest, 'utf8')) as object;
    const lying = join(exchange, 'lying.json');
    const signed = JSON.parse(await readFile(part('city'), 'utf8')) as object;
    await writeFile(lying, JSON.stringify({ ...update, intention: { kind: 'add', signed } }));
    expect((await at('maker').problem('network', 'org', 'sign', lying)).error.code).to.equal('UPDATE_INVALID');
    await writeFile(honest, JSON.stringify({ ...update, baseSequence: 7 }));
    expect((await at('maker').problem('network', 'org', 'sign', honest)).error.code).to.equal('UPDATE_INVALID');
  });

  it('take a fifth organisation in, whose peer endorses and whom governance admits', async () => {
    await decideChannel('add.json', 'propose-add', part(NEWCOMER));
    const folder = join(exchange, 'joining');
    await at('city').json('network', 'org', 'bundle', '--out', folder);
    await at(NEWCOMER).json('network', 'org', 'accept', folder, part('grid'));
    await at(NEWCOMER).json('network', 'up');
    await Promise.all([
      at('grid').json('network', 'org', 'refresh'),
      at('regulator').json('network', 'org', 'refresh', part(NEWCOMER)),
    ]);
    expect((await at('regulator').profile()).organisations.map(({ name }) => name)).to.include(NEWCOMER);
    await decideGovernance('admit', part(NEWCOMER));
    expect(await members(NEWCOMER)).to.have.members(Object.values(MSP_IDS));
    expect(await endorsementProblem(NEWCOMER)).to.equal(undefined);
  });

  it('make its orderer a consenter, in a change of its own', async () => {
    await decideChannel('orderer.json', 'propose-add', part(NEWCOMER), '--with-orderer');
    await at(NEWCOMER).json('network', 'org', 'refresh');
    const { quorum, orderers } = JSON.parse(
      await readFile(join(at(NEWCOMER).networkHome, 'fabric', 'channel', 'orderers.json'), 'utf8'),
    ) as { quorum: number; orderers: { mspId: string }[] };
    expect(orderers.map(({ mspId }) => mspId)).to.include(MSP_IDS[NEWCOMER]);
    expect(quorum).to.equal(4);
  });

  it('remove it again: first from governance, then from the channel', async () => {
    const out = ['--out', join(exchange, 'early.json')];
    const early = await at('grid').problem('network', 'org', 'propose-remove', NEWCOMER, ...out);
    expect(early.error.code).to.equal('ORGANISATION_GOVERNED');
    await decideGovernance('remove', NEWCOMER);
    await decideChannel('remove.json', 'propose-remove', NEWCOMER);
    expect(await members('regulator')).to.have.members(FOUNDERS.map((name) => MSP_IDS[name]!));
    await at('grid').json('network', 'org', 'refresh');
    expect((await at('grid').profile()).organisations.map(({ name }) => name)).to.have.members([...FOUNDERS]);
    // The four go on without it.
    await at('grid').json('governance', 'admit', part(NEWCOMER));
    expect(await endorsementProblem(NEWCOMER, 'grid')).to.contain(MSP_IDS[NEWCOMER]);
  });

  it("keep their private keys: none is in another's folder or in what was handed around", async () => {
    const folders = [...ALL.map((name) => at(name).folder), exchange];
    const keys = await Promise.all(folders.map((folder) => privateKeysIn(folder)));
    expect(keys.pop()).to.deep.equal([]);
    for (const [index, own] of keys.entries()) {
      expect(own.length, ALL[index]).to.be.greaterThan(8);
      const secrets = own.map(({ secret }) => secret);
      for (const folder of folders.filter((_, other) => other !== index)) {
        for (const file of await filesIn(folder)) {
          if ((await stat(file)).size <= SEARCHED_BYTES) {
            expect(secretsWithin(await readFile(file), secrets), `${file} holds a key of ${ALL[index]!}`).to.deep.equal(
              [],
            );
          }
        }
      }
    }
    for (const name of ALL) {
      const organisations = await readdir(join(at(name).networkHome, 'fabric', 'organisations'));
      expect(organisations).to.deep.equal([name]);
    }
  });

  /** Has an organisation's peer alone endorse, by a client's own gateway. @returns what was in the way */
  async function endorsementProblem(name: string, client = name): Promise<string | undefined> {
    const { organisations, channel, chaincode } = await at(client).profile();
    const own = organisations.find((organisation) => organisation.name === client)!;
    const { certificate, privateKey } = await (await openWallet(join(at(client).home, 'wallet'))).get('operator');
    const connection = new grpc.Client(
      own.gateway.address,
      grpc.credentials.createSsl(Buffer.from(own.gateway.tlsCaCert)),
    );
    const gateway = connect({
      client: connection,
      identity: { mspId: own.mspId, credentials: Buffer.from(certificate) },
      signer: signers.newPrivateKeySigner(createPrivateKey(privateKey)),
      hash: hash.sha256,
    });
    try {
      const contract = gateway.getNetwork(channel).getContract(chaincode, 'governance');
      const options = { arguments: ['{}'], endorsingOrganizations: [MSP_IDS[name]!] };
      await contract.newProposal('GetConsortium', options).endorse();
      return undefined;
    } catch (error) {
      return error instanceof EndorseError ? JSON.stringify(error.details) + error.message : String(error);
    } finally {
      gateway.close();
      connection.close();
    }
  }
});
