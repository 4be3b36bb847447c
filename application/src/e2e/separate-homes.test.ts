// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { RoundRecord, UpdateRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { AuditResult } from '../auditor/index.js';
import type { ConnectionProfile } from '../config/index.js';
import type { EnrollmentOutcome, IssuedCertificate, VehicleRequest } from '../identity/index.js';
import { Sandbox, type Service, type Surroundings } from './testing/sandbox.js';
import { filesIn, privateKeysIn, secretsWithin, type FoundKey } from './testing/secrets.js';

const ORGANISATIONS = ['grid', 'maker', 'city', 'regulator'] as const;
/** Organisations that aggregate, each on its own machine. */
const AGGREGATORS = ['grid', 'maker', 'city'] as const;
const CARS = ['car-0', 'car-1', 'car-2'] as const;
const ROUNDS = 2;
const DATA = ['--generate', '600', '--data-seed', '7'];

/** A program as if it were on a machine of its own: it knows its home, and a copy of the connection profile. */
class Machine {
  readonly home: string;
  readonly surroundings: Surroundings;

  constructor(
    readonly sandbox: Sandbox,
    readonly name: string,
  ) {
    const cwd = this.folder;
    this.home = join(cwd, 'home');
    const env = sandbox.bareEnv({ HOME: cwd, SEV_NETWORK_HOME: join(cwd, 'network'), SEV_HOME: this.home });
    this.surroundings = { cwd, env };
  }

  get folder(): string {
    return join(this.sandbox.directory, 'machines', this.name);
  }

  json<T>(...args: readonly string[]): Promise<T> {
    return this.sandbox.json<T>(args, this.surroundings);
  }

  service(...args: readonly string[]): Promise<Service> {
    return this.sandbox.service(args, this.surroundings);
  }
}

describe('programs in separate homes that share nothing but the connection profile', function () {
  this.timeout(180_000);

  let sandbox: Sandbox;
  const machines = new Map<string, Machine>();
  const machine = (name: string): Machine => machines.get(name)!;
  const services = new Map<string, Service>();
  const cars: string[] = [];
  const roundKeys: Buffer[] = [];
  let audit: AuditResult;
  let rounds: RoundRecord[];

  before(async () => {
    sandbox = await Sandbox.open();
    await sandbox.networkUp();
    for (const name of [...ORGANISATIONS, ...CARS, 'store']) {
      const made = new Machine(sandbox, name);
      machines.set(name, made);
      await mkdir(made.folder, { recursive: true });
      await sandbox.shareProfile(join(made.folder, 'network'));
    }
    for (const name of ORGANISATIONS) {
      await rename(join(sandbox.homes, name), machine(name).home);
    }
    await enrolCars();
    await runTask();
  });

  after(async () => {
    await sandbox.close();
  });

  /**
   * `sev vehicle provision` in the factory, `init` at the car, `enroll` at the maker, `install` at the car: what the
   * factory made is carried into the car, and only files of requests travel after that.
   */
  async function enrolCars(): Promise<void> {
    // The maker is the registrar of its cars: its homes' folder holds its own home and nothing else.
    const makerHomes = join(machine('maker').folder, 'homes');
    await mkdir(makerHomes);
    await rename(machine('maker').home, join(makerHomes, 'maker'));
    machines.set('maker', Object.assign(machine('maker'), { home: join(makerHomes, 'maker') }));
    const requests = await Promise.all(
      CARS.map(async (name) => {
        const request = join(machine(name).folder, 'request.json');
        const provisioning = join(machine(name).folder, 'provisioning.json');
        await machine('maker').json('vehicle', 'provision', '--home', machine('maker').home, '--out', provisioning);
        await machine(name).json('vehicle', 'init', '--provisioning', provisioning, '--out', request);
        await rm(provisioning);
        return (JSON.parse(await readFile(request, 'utf8')) as VehicleRequest[])[0]!;
      }),
    );
    cars.push(...requests.map(({ vehicleId }) => vehicleId));
    const received = join(machine('maker').folder, 'requests.json');
    await writeFile(received, JSON.stringify(requests));
    const issued = join(machine('maker').folder, 'certificates.json');
    const files = ['--requests', received, '--out', issued];
    const outcomes = await machine('maker').json<EnrollmentOutcome[]>(
      'vehicle',
      'enroll',
      ...files,
      '--homes',
      makerHomes,
    );
    expect(outcomes.map(({ vehicleId, accepted }) => [vehicleId, accepted])).to.deep.equal(
      cars.map((id) => [id, true]),
    );
    const certificates = JSON.parse(await readFile(issued, 'utf8')) as IssuedCertificate[];
    await Promise.all(
      CARS.map(async (name, i) => {
        const certificate = join(machine(name).folder, 'certificate.json');
        await writeFile(certificate, JSON.stringify([certificates[i]]));
        await machine(name).json('vehicle', 'install', certificate);
      }),
    );
  }

  async function runTask(): Promise<void> {
    const start = async (name: string, ...args: string[]): Promise<string> => {
      const service = await machine(name).service(...args);
      services.set(name, service);
      return service.url;
    };
    const store = await start('store', 'store', 'run');
    const attesters: string[] = [];
    for (const name of ['maker', 'city', 'regulator']) {
      const home = ['--home', machine(name).home];
      attesters.push(
        '--attester',
        `${name}=${await start(name, 'attester', 'run', '--org', name, ...home, '--store', store)}`,
      );
    }
    const aggregators: string[] = [];
    for (const name of AGGREGATORS) {
      const args = ['--org', name, '--home', machine(name).home, '--store', store];
      const service = await machine(name).service('aggregator', 'run', ...args);
      services.set(`aggregator of ${name}`, service);
      aggregators.push('--aggregator', `${name}=${service.url}`);
    }
    const size = ['--vehicles', String(CARS.length), '--rounds', String(ROUNDS), '--rows', '500'];
    await machine('grid').json('task', 'create', 'price-apart', ...size, '--store', store);
    const arbiter = ['--arbiter', `regulator=${services.get('regulator')!.url}`];
    await start(
      'grid',
      ...['coordinator', 'run', '--org', 'grid', '--task', 'price-apart', '--store', store],
      ...[...attesters, ...aggregators, ...arbiter],
    );
    const own = ['--org', 'maker', '--home', machine('maker').home];
    const batcher = await machine('maker').service('batcher', 'run', ...own);
    const peers = ['--store', store, '--batcher', `maker=${batcher.url}`, ...aggregators];
    await Promise.all(
      CARS.map((name, i) => start(name, 'vehicle', 'run', ...peers, '--client', `${i}/${CARS.length}`, ...DATA)),
    );
    const ending = await services.get('grid')!.ended;
    expect(ending.exitCode, ending.stderr).to.equal(0);
    rounds = await machine('grid').json<RoundRecord[]>('round', 'list', 'price-apart');
    audit = await machine('regulator').json<AuditResult>('audit', 'verify', '--store', store);
  }

  it('finalise all rounds with every vehicle', async () => {
    expect(rounds.map(({ round, state }) => [round, state])).to.deep.equal([
      [1, 'finalised'],
      [2, 'finalised'],
    ]);
    const last = await machine('grid').json<{ updates: UpdateRecord[] }>('round', 'show', 'price-apart', '2');
    expect(last.updates.map(({ vehicleId }) => vehicleId)).to.have.members(cars);
  });

  it('leave a ledger and a store that the auditor finds right', () => {
    expect(audit).to.include({ ok: true });
    expect(audit.checked).to.include({ vehicles: 3, rounds: ROUNDS, updates: ROUNDS * 3, aggregations: ROUNDS });
    expect(audit.skipped).to.deep.equal([]);
  });

  it("keep each vehicle's key and its car's provisioning key in its own home, in no form anywhere else", async () => {
    for (const [i, name] of CARS.entries()) {
      const keys = await privateKeysIn(machine(name).folder);
      const { home } = machine(name);
      const own = [join(home, 'wallet', `${cars[i]!}.id`), join(home, 'vehicles', `${cars[i]!}.json`)];
      expect(
        keys.map(({ file }) => file),
        name,
      ).to.have.members(own);
      expect(await holders(keys), name).to.have.members(own);
    }
  });

  it("keep each organisation's private keys in its own home, in no form anywhere else", async () => {
    const profile = await profileOf(machine('grid'));
    for (const name of ORGANISATIONS) {
      const { home } = machine(name);
      const keys = await privateKeysIn(machine(name).folder);
      const files = keys.map(({ file }) => file);
      expect(await holders(keys), name).to.have.members(files);
      const labels = (await readdir(join(home, 'wallet'))).map((file) => join(home, 'wallet', file));
      const makers = name === 'maker' ? ['maker-key.pem', 'provisioning-key.pem'] : [];
      const tls = isAggregator(name) ? [join('aggregator', 'tls-key.pem')] : [];
      const own = [...labels, ...['signing-key.pem', ...makers, ...tls].map((file) => join(home, file))];
      expect(files, name).to.have.members(own);
      const { mspId } = profile.organisations.find((organisation) => organisation.name === name)!;
      for (const label of labels) {
        expect(JSON.parse(await readFile(label, 'utf8')), label).to.include({ mspId });
      }
    }
  });

  it("keep each aggregator's round keys in its own home, in no form anywhere else", async () => {
    for (const name of AGGREGATORS) {
      for (let round = 1; round <= ROUNDS; round++) {
        const path = join(machine(name).home, 'aggregator', 'inbox', 'price-apart', `${round}-1`, 'secrets.json');
        const secrets = await roundKeysIn(path);
        expect(await filesWith(secrets), `${name}, round ${round}`).to.deep.equal([path]);
        roundKeys.push(...secrets);
      }
    }
  });

  it("keep the maker's secret and the cars' provisioning ids out of all other homes, the store and the ledger", async () => {
    const secret = Buffer.from((await readFile(join(machine('maker').home, 'maker-secret'), 'utf8')).trim(), 'hex');
    expect(await filesWith([secret])).to.deep.equal([join(machine('maker').home, 'maker-secret')]);
    for (const [i, name] of CARS.entries()) {
      const path = join(machine(name).home, 'vehicles', `${cars[i]!}.json`);
      const { provisioning } = JSON.parse(await readFile(path, 'utf8')) as Pick<VehicleRequest, 'provisioning'>;
      const allowed = [machine(name).folder + sep, machine('maker').folder + sep];
      const found = await filesWith([Buffer.from(provisioning.provisioningId, 'hex')]);
      expect(found.filter((file) => !allowed.some((folder) => file.startsWith(folder)))).to.deep.equal([]);
    }
  });

  it('write no secret into what they print, their arguments or their logs', async () => {
    const keys = await privateKeysIn(join(sandbox.directory, 'machines'));
    const secrets = [...keys.map(({ secret }) => secret), ...roundKeys];
    expect(secrets.length).to.be.greaterThan(CARS.length + ORGANISATIONS.length * 5);
    for (const [name, service] of services) {
      const { stdout, stderr } = service.written();
      const said = Buffer.from([stdout, stderr, ...service.child.spawnargs].join('\n'));
      expect(secretsWithin(said, secrets), name).to.deep.equal([]);
    }
  });

  it('end cleanly when they are told to', async () => {
    for (const [name, service] of services) {
      const { exitCode, stderr } = await sandbox.stop(service);
      expect(exitCode, `${name}: ${stderr}`).to.equal(0);
    }
  });

  /** Files anywhere in the sandbox (all homes, store, network, ledger, logs) that hold one of these keys. */
  async function holders(keys: readonly FoundKey[]): Promise<string[]> {
    return filesWith(keys.map(({ secret }) => secret));
  }

  async function filesWith(secrets: readonly Buffer[]): Promise<string[]> {
    const found: string[] = [];
    for (const file of await filesIn(sandbox.directory)) {
      if (secretsWithin(await readFile(file), secrets).length > 0) {
        found.push(file);
      }
    }
    return found;
  }

  async function profileOf({ folder }: Machine): Promise<ConnectionProfile> {
    return JSON.parse(await readFile(join(folder, 'network', 'connection.json'), 'utf8')) as ConnectionProfile;
  }
});

function isAggregator(name: string): boolean {
  return AGGREGATORS.some((aggregator) => aggregator === name);
}

/** The key that shares are sealed to in a round, and the one that they lie under on the disk. */
async function roundKeysIn(path: string): Promise<Buffer[]> {
  const { sealingKey, storageKey } = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
  const key = createPrivateKey({ key: Buffer.from(sealingKey!, 'base64'), format: 'der', type: 'pkcs8' });
  return [Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url'), Buffer.from(storageKey!, 'base64')];
}
