// SPDX-License-Identifier: Apache-2.0
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RoundRecord } from '@sev/chaincode/api';
import { rhoWithin } from '@sev/fl';
import { expect } from 'chai';
import { learning } from '../ledger/contracts.js';
import { Programs } from '../run/processes.js';
import { roundIfAny, taskIfAny } from '../services/rounds.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { sev, type CliRun } from '../testing/run.js';
import { eventually } from '../testing/temporary.js';
import type { StatisticsFile } from '../vehicle/statistics-file.js';

const CARS = [0, 1, 2, 3];
const SCHEMA = {
  name: 'trips',
  target: { column: 'used', unit: 'kWh', offset: 8, scale: 3 },
  features: [
    { column: 'km', type: 'number', low: 0, high: 100 },
    { column: 'road', type: 'category', vocabulary: ['town', 'motorway'], threshold: 0.05 },
  ],
  test: { by: 'time', column: 'at', percent: 20 },
};
const ROWS = 20;
const TRAINING_ROWS = 16;
const kmOf = (car: number, row: number): number => 10 * car + ((row * 7) % 50);

function csvOf(car: number): string {
  const lines = Array.from({ length: ROWS }, (_, row) =>
    [row, kmOf(car, row), row % 4 === 0 ? 'town' : 'motorway', 5 + kmOf(car, row) / 10].join(','),
  );
  return ['at,km,road,used', ...lines].join('\n');
}

/** Mean over cars of their training rows; all cars have as many. */
function expectedMean(): number {
  const values = CARS.flatMap((car) => Array.from({ length: TRAINING_ROWS }, (_, row) => kmOf(car, row)));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('Statistics of vehicles on machines of their own', function () {
  this.timeout(300_000);
  const programs = new Programs(() => undefined);
  let network: TestNetwork;
  let folder: string;
  let peers: string[];
  let attesters: string[];
  let aggregators: string[];
  let store: string;
  const file = (name: string): string => join(folder, name);
  const homeOf = (name: string): string => join(network.homes, name);

  /** The answer of a command that has to succeed. */
  async function done(...args: string[]): Promise<CliRun> {
    const run = await sev(...args, '--json');
    expect(run.code, `${args.join(' ')}: ${run.stderr}`).to.equal(0);
    return run;
  }

  async function refused(...args: string[]): Promise<[string | undefined, number]> {
    const { stdout, code } = await sev(...args, '--json');
    return [(JSON.parse(stdout) as { error?: { code: string } }).error?.code, code];
  }

  before(async () => {
    network = await testNetwork();
    process.env['SEV_NETWORK_HOME'] = network.networkHome;
    folder = join(await network.newHome(), 'apart');
    await mkdir(folder);
    await writeFile(file('trips.json'), JSON.stringify(SCHEMA));
    for (const car of CARS) {
      await writeFile(file(`${String(car)}.csv`), csvOf(car));
      await enrol(file(`car-${String(car)}`));
    }
    store = (await programs.start('store', ['store', 'run', '--home', file('store')])).url;
    const start = async (kind: string, name: string, ...args: string[]): Promise<string> => {
      const own = ['--org', name, '--home', homeOf(name)];
      return `${name}=${(await programs.start(`${kind} of ${name}`, [kind, 'run', ...own, ...args])).url}`;
    };
    const at = ['--store', store];
    attesters = await Promise.all(['maker', 'city', 'regulator'].map((name) => start('attester', name, ...at)));
    aggregators = await Promise.all(['grid', 'maker', 'city'].map((name) => start('aggregator', name, ...at)));
    peers = [
      ...at,
      ...aggregators.flatMap((one) => ['--aggregator', one]),
      '--batcher',
      await start('batcher', 'maker'),
    ];
  });

  after(() => programs.stop());

  async function enrol(home: string): Promise<void> {
    await done('vehicle', 'provision', '--home', homeOf('maker'), '--out', `${home}.json`);
    await done('vehicle', 'init', '--provisioning', `${home}.json`, '--home', home, '--out', `${home}-request.json`);
    const requests = ['--requests', `${home}-request.json`, '--homes', network.homes];
    await done('vehicle', 'enroll', ...requests, '--out', `${home}-issued.json`);
    await done('vehicle', 'install', `${home}-issued.json`, '--home', home);
  }

  const create = (...args: string[]): string[] => [
    ...['task', 'create', ...args, '--schema', file('trips.json'), '--homes', network.homes],
    ...['--store', store, '--vehicles', String(CARS.length)],
  ];

  /** What a vehicle is started with; each reads its own file alone. */
  const vehicle = (car: number, taskId: string, ...kind: string[]): string[] => [
    ...['vehicle', 'run', '--home', file(`car-${String(car)}`), '--task', taskId, '--client', '0/1', ...peers],
    ...['--data', file(`${String(car)}.csv`), '--schema', file('trips.json'), '--kind', ...kind],
  ];

  async function finalRound(taskId: string, ...kind: string[]): Promise<RoundRecord> {
    for (const car of CARS) {
      await programs.start(`car ${String(car)} of ${taskId}`, vehicle(car, taskId, ...kind));
    }
    await programs.start(`coordinator of ${taskId}`, [
      ...['coordinator', 'run', '--org', 'grid', '--home', homeOf('grid'), '--task', taskId, '--store', store],
      ...attesters.flatMap((one) => ['--attester', one]),
      ...aggregators.flatMap((one) => ['--aggregator', one]),
      ...['--arbiter', attesters.at(-1) ?? ''],
    ]);
    const contract = learning(await network.session('city', 'coordinator'));
    let record: RoundRecord | undefined;
    const final = async (): Promise<boolean> => {
      record = await roundIfAny(contract, { taskId, round: 1 });
      return record?.state === 'finalised';
    };
    await Promise.race([eventually(final, 90_000), programs.watch()]);
    return record!;
  }

  async function statisticsOf(taskId: string, out: string): Promise<{ columns: { mean?: number }[] }> {
    const read = ['--schema', file('trips.json'), '--store', store, '--out', out, '--homes', network.homes];
    return JSON.parse((await done('statistics', 'read', taskId, ...read)).stdout) as { columns: { mean?: number }[] };
  }

  it('are a task of one round, made from the schema alone, and read from ledger and store', async () => {
    const made = await sev(...create('trips-scales', '--kind', 'statistics'));
    expect(made.stdout).to.match(/^task trips-scales: statistics, 1 round, .*nothing but the sum is opened/);
    const { proposal } = await finalRound('trips-scales', 'statistics');
    expect(proposal?.cohortSize).to.equal(CARS.length);
    const { columns } = await statisticsOf('trips-scales', file('scales.json'));
    expect(columns[0]?.mean).to.be.closeTo(expectedMean(), 1e-2);
  });

  it('scale a task whose vehicles train on their own files', async () => {
    const scaled = ['--kind', 'table', '--statistics', file('scales.json')];
    await done(...create('trips-scaled', ...scaled, '--rounds', '1', '--rows', String(TRAINING_ROWS * CARS.length)));
    const { proposal } = await finalRound('trips-scaled', 'table', '--statistics', file('scales.json'));
    expect(proposal?.cohortSize).to.equal(CARS.length);
    const { modelHash } = JSON.parse(await readFile(file('scales.json'), 'utf8')) as StatisticsFile;
    const { task } = await learning(await network.session('city', 'coordinator')).task('trips-scaled');
    expect(task.features).to.contain(modelHash.slice(0, 32));
  });

  it('have one round and train nothing', async () => {
    for (const option of [
      ['--rounds', '2'],
      ['--engine', 'tfjs'],
      ['--server', 'adam'],
    ]) {
      expect(await refused(...create('trips-trained', '--kind', 'statistics', ...option))).to.deep.equal(['USAGE', 2]);
    }
    const none = ['task', 'create', 'trips-none', '--kind', 'statistics', '--homes', network.homes, '--store', store];
    expect(await refused(...none)).to.deep.equal(['USAGE', 2]);
  });

  it('are counted by each vehicle with the task of mode dp that they scale, before it takes part', async () => {
    // So little noise that four vehicles give a scale.
    const [ofStatistics, ofTask] = [2_000, 3_000];
    const noisy = ['--privacy', 'dp', '--epsilon'];
    await done(...create('trips-noisy', '--kind', 'statistics', ...noisy, String(ofStatistics)));
    await finalRound('trips-noisy', 'statistics', '--max-epsilon', String(ofStatistics));
    await statisticsOf('trips-noisy', file('noisy.json'));
    const scaled = ['table', '--statistics', file('noisy.json')];
    await done(...create('trips-promised', '--kind', ...scaled, ...noisy, String(ofTask)));
    const contract = learning(await network.session('city', 'coordinator'));
    // The city's peer may lag behind the one that took the task.
    await eventually(async () => (await taskIfAny(contract, 'trips-promised')) !== undefined);
    const { task } = await contract.task('trips-promised');
    expect(task.secure!.dp!.budgetMicroRho / 1e6).to.be.lessThan(rhoWithin(ofTask, 1e-5) - 500);
    // By itself the task stays far below.
    const limit = ['--max-epsilon', String(ofTask - 1)];
    expect(await refused(...vehicle(0, 'trips-promised', ...scaled, ...limit))).to.deep.equal(['EPSILON_TOO_LARGE', 3]);
    await programs.start('car that agrees', vehicle(0, 'trips-promised', ...scaled, '--max-epsilon', String(ofTask)));
    const plain = vehicle(0, 'trips-promised', 'table', '--statistics', file('scales.json'), ...limit);
    expect(await refused(...plain)).to.deep.equal(['STATISTICS_WITHOUT_NOISE', 2]);
  });
});
