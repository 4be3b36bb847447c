// SPDX-License-Identifier: Apache-2.0
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { RoundRecord, TaskRecord, UpdateRecord } from '@sev/chaincode/api';
import { formatCarCsv, generateCarTable, isTestRow, type Random } from '@sev/fl';
import { expect } from 'chai';
import type { AuditResult } from '../auditor/index.js';
import type { EnrollmentOutcome, VehicleRequest } from '../identity/index.js';
import type { Report } from '../report/report.js';
import { blocksIn, withChangedByte } from './testing/files.js';
import { processesWith } from './testing/processes.js';
import { Relay } from './testing/relay.js';
import { Sandbox, said, until, type Problem, type Surroundings } from './testing/sandbox.js';
import { FULL, seededRandom } from './testing/seed.js';

/** Damaged bytes tried of each kind. */
const SAMPLES = FULL ? 25 : 3;
const VEHICLES = 3;
const ROWS = generateCarTable({ rows: 300, seed: 5 }).rows;
const CSV = formatCarCsv(ROWS);

describe('bad input, through the command line', function () {
  this.timeout(120_000);

  let sandbox: Sandbox;
  let random: Random;
  let up: Promise<void> | undefined;

  /** Brings the file's network up when it is first needed. */
  const networkUp = (): Promise<void> => (up ??= sandbox.networkUp());

  before(async () => {
    random = seededRandom('damaged bytes');
    sandbox = await Sandbox.open();
  });

  after(async () => {
    await sandbox.close();
  });

  /** Runs a command that must fail in this way, and say what to do next. */
  async function fails(
    args: readonly string[],
    expected: { readonly code: string; readonly exitCode: number; readonly says?: RegExp },
    surroundings: Surroundings = {},
  ): Promise<Problem['error']> {
    const { error, exitCode } = await sandbox.problem(args, surroundings);
    expect({ code: error.code, exitCode }, error.message).to.deep.equal({
      code: expected.code,
      exitCode: expected.exitCode,
    });
    expect(error.message).to.match(expected.says ?? /./);
    expect(error.hint, `hint of ${error.code}`).to.match(/\w{3}/);
    return error;
  }

  describe('without a network', () => {
    it('NETWORK_NOT_RUNNING where none was ever started', async () => {
      const nothing = { code: 'NETWORK_NOT_RUNNING', exitCode: 4 };
      await Promise.all([fails(['round', 'run'], nothing), fails(['task', 'list'], nothing)]);
    });

    it('PORT_IN_USE names the port where another program listens on it', async () => {
      const other = createServer();
      await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
      const { port } = other.address() as AddressInfo;
      const offset = port - (await firstGatewayPort());
      const env = {
        ...sandbox.env,
        SEV_NETWORK_HOME: join(sandbox.directory, 'other'),
        SEV_PORT_OFFSET: String(offset),
      };
      const inUse = { code: 'PORT_IN_USE', exitCode: 2, says: new RegExp(`\\b${port}\\b`) };
      await fails(['network', 'up'], inUse, { env });
      await fails(['store', 'run', '--port', String(port)], inUse);
      other.close();
    });
  });

  describe('data', () => {
    before(networkUp);

    const cases: readonly {
      readonly title: string;
      readonly csv: string;
      readonly args?: readonly string[];
      readonly code: string;
      readonly says: RegExp;
    }[] = [
      { title: 'too few cells in a row', csv: changed(4, () => 'Maruti,2015'), code: 'DATA_MALFORMED', says: /row 5/ },
      { title: 'an open quote', csv: changed(4, (row) => `"${row}`), code: 'DATA_MALFORMED', says: /row 5/ },
      {
        title: 'a text where a number belongs',
        csv: changedCell(6, 'km_driven', 'many'),
        code: 'DATA_NOT_A_NUMBER',
        says: /row 7, column km_driven/,
      },
      {
        title: 'NaN',
        csv: changedCell(9, 'selling_price', 'NaN'),
        code: 'DATA_NOT_A_NUMBER',
        says: /row 10, column selling_price/,
      },
      {
        title: 'an unknown column',
        csv: changed(0, (header) => header.replace('owner', 'colour')),
        code: 'DATA_COLUMN_UNKNOWN',
        says: /row 1, column colour/,
      },
      {
        title: 'too few rows',
        csv: formatCarCsv(ROWS.slice(0, 1)),
        code: 'DATA_TOO_FEW_ROWS',
        says: /fewer clients or more data/,
      },
      {
        title: 'more vehicles than rows',
        csv: CSV,
        args: ['--vehicles', '300'],
        code: 'DATA_TOO_FEW_ROWS',
        says: /300 clients/,
      },
      {
        title: 'a vehicle without rows',
        csv: CSV,
        args: ['--vehicles', String(ROWS.filter((row) => !isTestRow(row)).length - 1)],
        code: 'DATA_CLIENT_EMPTY',
        says: /client \d+ of \d+ gets 0 training rows/,
      },
      { title: 'an unknown split', csv: CSV, args: ['--split', 'colour'], code: 'SPLIT_UNKNOWN', says: /iid, brand/ },
    ];
    for (const { title, csv, args = [], code, says } of cases) {
      it(`${code} for ${title}`, async () => {
        const path = join(sandbox.directory, 'bad.csv');
        await writeFile(path, csv);
        await fails(['round', 'run', '--data', path, '--vehicles', '3', ...args], { code, exitCode: 2, says });
      });
    }

    it('DATA_FILE_MISSING for a file that is not there', async () => {
      const missing = { code: 'DATA_FILE_MISSING', exitCode: 2, says: /none\.csv/ };
      await fails(['round', 'run', '--data', 'none.csv'], missing);
    });

    it('start nothing and enrol nobody', async () => {
      expect(await sandbox.json(['vehicle', 'list'])).to.deep.equal([]);
      expect(processesWith(sandbox.homes)).to.deep.equal([]);
    });
  });

  describe('a run', () => {
    before(networkUp);

    const data = (): string => join(sandbox.directory, 'a folder', 'CAR DETAILS FROM CAR DEKHO.csv');
    const runs = (): string[] => ['--runs', join(sandbox.directory, 'runs'), '--vehicles', String(VEHICLES), '--json'];

    it('takes a file whose path has spaces', async () => {
      await mkdir(join(sandbox.directory, 'a folder'));
      await writeFile(data(), CSV);
      const args = ['round', 'run', '--data', data(), '--rounds', '2', '--task-id', 'price-spaces', ...runs()];
      // In which the store holds updates, bytes of which are changed below.
      args.push('--privacy', 'plain');
      const { exitCode, stdout, stderr } = await sandbox.sev(args);
      expect(exitCode, stderr).to.equal(0);
      expect((JSON.parse(stdout) as Report).data).to.deep.include({
        source: 'CAR DETAILS FROM CAR DEKHO.csv',
        rows: ROWS.length,
      });
    });

    it('DATA_FILE_MISSING at a vehicle too', async () => {
      const peers = ['--store', 'http://127.0.0.1:9', '--batcher', 'maker=http://127.0.0.1:9'];
      const args = ['vehicle', 'run', '--pool', '--client', `0/${VEHICLES}`, '--data', 'none.csv', ...peers];
      const fleet = ['--home', join(sandbox.homes, 'fleet')];
      await fails([...args, ...fleet], { code: 'DATA_FILE_MISSING', exitCode: 2, says: /none\.csv/ });
    });

    it('ends with all its programs at Ctrl-C or when it is killed, and goes on with --resume', async () => {
      const args = ['round', 'run', '--data', data(), '--rounds', '4', '--task-id', 'price-broken', ...runs()];
      const first = sandbox.spawn(args);
      await said(first, /^round 1\//m);
      first.child.kill('SIGINT');
      const interrupted = await first.ended;
      expect(interrupted.exitCode, interrupted.stderr).to.equal(130);
      const { error } = JSON.parse(interrupted.stdout) as Problem;
      expect(error.code).to.equal('INTERRUPTED');
      expect(error.hint).to.contain('sev round run --resume price-broken');
      expect(processesWith(sandbox.homes)).to.deep.equal([]);

      const second = sandbox.spawn(['round', 'run', '--resume', 'price-broken', ...runs()]);
      await said(second, /^round 2\//m);
      second.child.kill('SIGKILL');
      await second.ended;
      await until(() => (processesWith(sandbox.homes).length === 0 ? true : undefined), 20_000);

      const third = await sandbox.sev(['round', 'run', '--resume', 'price-broken', ...runs()]);
      expect(third.exitCode, third.stderr).to.equal(0);
      const report = JSON.parse(third.stdout) as Report;
      expect(report.rounds.map(({ round, cohort }) => [round, cohort])).to.deep.equal(
        [1, 2, 3, 4].map((round) => [round, VEHICLES]),
      );
      expect(report.audit.ok).to.equal(true);
    }).timeout(300_000);

    it('can be resumed where it was interrupted while it enrolled', async () => {
      const homes = ['--homes', sandbox.homes];
      const args = ['round', 'run', ...homes, '--data', data(), '--rounds', '1', '--task-id', 'price-early'];
      const first = sandbox.spawn([...args, ...runs(), '--vehicles', '12']);
      await said(first, /^enrolling/m);
      first.child.kill('SIGINT');
      expect((await first.ended).exitCode).to.equal(130);
      const second = await sandbox.sev(['round', 'run', '--resume', 'price-early', ...runs()]);
      expect(second.exitCode, second.stderr).to.equal(0);
      expect((JSON.parse(second.stdout) as Report).rounds[0]).to.include({ cohort: 12 });
    });
  });

  describe('identities', () => {
    before(networkUp);

    it('ORGANISATION_UNKNOWN for an organisation that the network does not have', async () => {
      const unknown = { code: 'ORGANISATION_UNKNOWN', exitCode: 2, says: /nowhere/ };
      await fails(['task', 'list', '--org', 'nowhere'], unknown);
      await fails(['attester', 'run', '--org', 'nowhere', '--store', 'http://127.0.0.1:9'], unknown);
    });

    it("IDENTITY_FOREIGN for another organisation's home", async () => {
      const city = ['--org', 'grid', '--home', join(sandbox.homes, 'city')];
      const foreign = { code: 'IDENTITY_FOREIGN', exitCode: 2, says: /CityMSP, not of grid/ };
      const store = ['--store', 'http://127.0.0.1:9'];
      await fails(['task', 'list', ...city], foreign);
      await fails(['attester', 'run', ...city, ...store], foreign);
      await fails(['coordinator', 'run', ...city, ...store, '--task', 'price-spaces'], foreign);
    });

    it("ACCESS_DENIED for another organisation's vehicle, and for an identity with another role", async () => {
      const [vehicle] = await sandbox.json<{ vehicleId: string }[]>(['vehicle', 'list']);
      const suspend = ['vehicle', 'suspend', vehicle!.vehicleId];
      await fails([...suspend, '--org', 'city'], { code: 'ACCESS_DENIED', exitCode: 3, says: /ManufacturerMSP/ });
      const home = await homeWith('maker', 'operator', 'registrar');
      const role = { code: 'ACCESS_DENIED', exitCode: 3, says: /role registrar, not operator/ };
      await fails([...suspend, '--home', home], role);
      const auditor = await homeWith('regulator', 'auditor', 'operator');
      const store = join(sandbox.homes, 'store', 'objects');
      const create = ['task', 'create', 'price-denied', '--org', 'regulator', '--home', auditor, '--store', store];
      await fails(create, { code: 'ACCESS_DENIED', exitCode: 3, says: /not auditor/ });
    });

    it('LEDGER_REFUSED for a certificate that the organisation did not issue', async () => {
      const home = await homeWith('city', 'operator', 'operator', (text) => text.replace('CityMSP', 'GridOperatorMSP'));
      await fails(['task', 'list', '--org', 'grid', '--home', home], { code: 'LEDGER_REFUSED', exitCode: 3 });
    });

    it('TAG_ALREADY_ENROLLED for a second identity of the same car', async () => {
      const factory = join(sandbox.directory, 'car-provisioning.json');
      const maker = ['--home', join(sandbox.homes, 'maker')];
      await sandbox.json(['vehicle', 'provision', '--out', factory, ...maker]);
      await enrol(factory, 'first', 0);
      const { vehicleId, outcome } = await enrol(factory, 'second', 3);
      expect(outcome).to.include({ vehicleId, accepted: false, code: 'TAG_ALREADY_ENROLLED' });
      expect(outcome.hint).to.match(/\w{3}/);
      const listed = await sandbox.json<{ vehicleId: string }[]>(['vehicle', 'list']);
      expect(listed.map((vehicle) => vehicle.vehicleId)).not.to.include(vehicleId);
    });

    /** Makes an identity of a car in a home of its own and asks the maker to enrol it. */
    async function enrol(
      factory: string,
      name: string,
      exitCode: number,
    ): Promise<{ vehicleId: string; outcome: EnrollmentOutcome }> {
      const [request, issued, home] = ['request.json', 'certificate.json', 'home'].map((file) =>
        join(sandbox.directory, `${name}-${file}`),
      ) as [string, string, string];
      const init = ['vehicle', 'init', '--provisioning', factory, '--home', home, '--out', request];
      const [made] = await sandbox.json<VehicleRequest[]>(init);
      const enroll = ['vehicle', 'enroll', '--requests', request, '--out', issued, '--json'];
      const ending = await sandbox.sev(enroll);
      expect(ending.exitCode, ending.stderr).to.equal(exitCode);
      const [outcome] = JSON.parse(ending.stdout) as EnrollmentOutcome[];
      return { vehicleId: made!.vehicleId, outcome: outcome! };
    }

    /** A home that holds one identity of an organisation under the name of another. */
    async function homeWith(
      organisation: string,
      label: string,
      as: string,
      change: (text: string) => string = (text) => text,
    ): Promise<string> {
      const home = join(sandbox.directory, `${organisation}-${label}-as-${as}`);
      await mkdir(join(home, 'wallet'), { recursive: true });
      const text = await readFile(join(sandbox.homes, organisation, 'wallet', `${label}.id`), 'utf8');
      await writeFile(join(home, 'wallet', `${as}.id`), change(text));
      return home;
    }
  });

  describe('a store that serves changed model bytes', () => {
    before(networkUp);

    const task = 'price-forged';

    it('is refused by vehicles and attesters; once it is honest again, the round ends', async () => {
      const store = await sandbox.service(['store', 'run', '--home', join(sandbox.homes, 'store')]);
      const mode = ['--privacy', 'plain']; // in which the store holds updates
      const size = ['--vehicles', String(VEHICLES), '--rounds', '1', '--rows', '240', '--grace', '100', ...mode];
      const { task: created } = await sandbox.json<TaskRecord>(['task', 'create', task, ...size, '--store', store.url]);
      const initial = created.model.initialModelHash;

      const known = new Set([initial]);
      let liesToVehicles = true;
      let liesToAttesters = true;
      const towardsVehicles = await Relay.start({
        onAnswer: ({ method, path, request, answer }) => {
          if (method === 'PUT') {
            known.add(path.slice('/objects/'.length));
          }
          const isModel = `${path} ${request.toString()}`.includes(initial);
          return liesToVehicles && method !== 'PUT' && isModel ? forged(answer) : undefined;
        },
      });
      const towardsAttesters = await Relay.start({
        onAnswer: ({ path, request, answer }) => {
          // Everything that is neither the initial model nor a vehicle's update is the round's new model.
          const named = `${path} ${request.toString()}`.match(/\b[0-9a-f]{64}\b/g) ?? [];
          return liesToAttesters && named.some((hash) => !known.has(hash)) ? forged(answer) : undefined;
        },
      });
      towardsVehicles.target = store.url;
      towardsAttesters.target = store.url;

      const attesters = await Promise.all(
        ['maker', 'city', 'regulator'].map(async (name) => {
          const home = ['--home', join(sandbox.homes, name)];
          const args = ['attester', 'run', '--org', name, ...home, '--store', towardsAttesters.url];
          return { name, service: await sandbox.service(args) };
        }),
      );
      const coordinator = await sandbox.service([
        ...['coordinator', 'run', '--org', 'grid', '--home', join(sandbox.homes, 'grid'), '--task', task],
        ...[
          '--store',
          store.url,
          ...attesters.flatMap(({ name, service }) => ['--attester', `${name}=${service.url}`]),
        ],
      ]);
      const maker = ['--org', 'maker', '--home', join(sandbox.homes, 'maker')];
      const batcher = await sandbox.service(['batcher', 'run', ...maker]);
      const ids = (await sandbox.json<{ vehicles: string[] }>(['vehicle', 'enroll', '--count', String(VEHICLES)]))
        .vehicles;
      const vehicles = await sandbox.service([
        ...[
          'vehicle',
          'run',
          '--plain',
          '--pool',
          '--home',
          join(sandbox.homes, 'fleet'),
          '--task',
          task,
          '--client',
          `0/${VEHICLES}`,
        ],
        ...['--vehicle', ...ids, '--generate', '300', '--store', towardsVehicles.url],
        ...['--batcher', `maker=${batcher.url}`],
      ]);

      await said(vehicles, /CONTENT_HASH_MISMATCH/);
      expect((await shown(1)).updates).to.deep.equal([]);
      liesToVehicles = false;
      await said(coordinator, /ATTESTATION_REFUSED/);
      const stopped = await shown(1);
      expect(stopped.updates).to.have.length(VEHICLES);
      expect(stopped.state).to.equal('closed');
      liesToAttesters = false;
      const ending = await coordinator.ended;
      expect(ending.exitCode, ending.stderr).to.equal(0);
      expect((await shown(1)).state).to.equal('finalised');

      await Promise.all(
        [vehicles, store, batcher, ...attesters.map(({ service }) => service)].map((s) => sandbox.stop(s)),
      );
      await Promise.all([towardsVehicles.close(), towardsAttesters.close()]);
    });

    function shown(round: number): Promise<RoundRecord & { updates: UpdateRecord[] }> {
      return sandbox.json(['round', 'show', task, String(round)]);
    }
  });

  describe('one changed byte', () => {
    it('in an object of the store is named by the audit', async () => {
      const { updates, proposal, baseModelHash } = await sandbox.json<RoundRecord & { updates: UpdateRecord[] }>([
        ...['round', 'show', 'price-spaces', '1'],
      ]);
      const hashes = [baseModelHash, proposal!.modelHash, ...updates.map(({ updateHash }) => updateHash)];
      for (let sample = 0; sample < SAMPLES; sample++) {
        const hash = hashes[random.below(hashes.length)]!;
        const path = join(sandbox.homes, 'store', 'objects', hash.slice(0, 2), hash);
        const position = random.below((await stat(path)).size);
        const failure = await withChangedByte(path, position, failedAudit);
        expect(failure, `byte ${position} of ${hash}`).to.include({ kind: 'object', code: 'CONTENT_HASH_MISMATCH' });
        expect(failure.where).to.contain(hash);
      }
    });

    it('in a block file is named by the audit', async function () {
      if (sandbox.networkKind !== 'embedded') {
        process.stdout.write('      skipped: a peer of Fabric keeps its block files in a form of its own\n');
        this.skip();
      }
      const path = join(sandbox.networkHome, 'embedded', 'ledger', 'blocks', 'blockfile_000000');
      const blocks = blocksIn(await readFile(path));
      for (let sample = 0; sample < SAMPLES; sample++) {
        const { number, offset, length } = blocks[random.below(blocks.length)]!;
        const position = offset + random.below(length);
        const failure = await withChangedByte(path, position, failedAudit);
        expect(failure.kind, `byte ${position}`).to.equal('block');
        expect(failure.where, `byte ${position}`).to.match(new RegExp(`^block ${number}\\b`));
      }
    });

    it('in an exported ledger is found by the audit', async () => {
      const file = join(sandbox.directory, 'ledger.sev');
      await sandbox.json(['audit', 'export', file]);
      const { size } = await stat(file);
      for (let sample = 0; sample < SAMPLES; sample++) {
        const position = random.below(size);
        await withChangedByte(file, position, () => failedAudit(['--file', file, '--no-store']));
      }
    });

    it('is all that was wrong', async () => {
      expect(await sandbox.json<AuditResult>(['audit', 'verify'])).to.include({ ok: true });
    });

    async function failedAudit(args: readonly string[] = []): Promise<NonNullable<AuditResult['firstFailure']>> {
      const { exitCode, stdout, stderr } = await sandbox.sev(['audit', 'verify', ...args, '--json']);
      expect(exitCode, stderr).to.equal(3);
      return (JSON.parse(stdout) as AuditResult).firstFailure!;
    }
  });

  describe('with a network that was taken down', () => {
    it('NETWORK_NOT_RUNNING or LEDGER_UNREACHABLE, soon', async () => {
      await sandbox.json(['network', 'down']);
      const unreachable = { code: 'LEDGER_UNREACHABLE', exitCode: 4 };
      await Promise.all([
        fails(['round', 'run'], { code: 'NETWORK_NOT_RUNNING', exitCode: 4 }),
        fails(['task', 'list'], unreachable),
        fails(['audit', 'verify'], unreachable),
      ]);
    }).timeout(45_000);
  });
});

/** The table with one of its lines changed, the header being line 0. */
function changed(line: number, change: (text: string) => string): string {
  const lines = CSV.split('\n');
  lines[line] = change(lines[line]!);
  return lines.join('\n');
}

function changedCell(line: number, column: string, cell: string): string {
  const index = CSV.split('\n', 1)[0]!.split(',').indexOf(column);
  return changed(line, (text) => text.split(',').with(index, cell).join(','));
}

function forged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1]! ^= 1;
  return copy;
}

/** The first gateway port of the topology that ships, before any offset. */
async function firstGatewayPort(): Promise<number> {
  const topology = await readFile(new URL('../../../test-network-config/consortium.yaml', import.meta.url), 'utf8');
  return Number(/gateway: (\d+)/.exec(topology)![1]);
}
