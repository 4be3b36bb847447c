// SPDX-License-Identifier: Apache-2.0
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '@sev/chaincode/api';
import { parametersToBytes, type NumberStatistics } from '@sev/fl';
import { expect } from 'chai';
import { sev, type CliRun } from '../testing/run.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import type { StatisticsFile } from '../vehicle/statistics-file.js';

const VEHICLES = 4;
const SCHEMA = {
  name: 'trips',
  target: { column: 'used', unit: 'kWh', offset: 8, scale: 3 },
  features: [
    { column: 'km', type: 'number', low: 0, high: 100 },
    { column: 'road', type: 'category', vocabulary: ['town', 'motorway', 'ferry'], threshold: 0.05 },
    { column: 'seats', type: 'number', centre: 4, scale: 1 },
  ],
  splits: [{ column: 'car' }],
  test: { by: 'time', column: 'at', percent: 20, within: 'car' },
};
/** Of car and row; every fifth row of a car is its test row, and the first car has more rows than the others. */
const rowsOf = (car: number): number => (car === 0 ? 40 : 20);
const kmOf = (car: number, row: number): number => 10 * car + ((row * 7) % 50);
const roadOf = (row: number): string => (row % 20 === 1 ? 'ferry' : row % 4 === 0 ? 'town' : 'motorway');
const CSV = [
  'car,at,km,road,seats,used',
  ...Array.from({ length: VEHICLES }, (_, car) =>
    Array.from({ length: rowsOf(car) }, (__, row) => {
      const km = row === 3 ? '' : kmOf(car, row);
      return [`c${String(car)}`, row, km, roadOf(row), 2 + (row % 4), 5 + kmOf(car, row) / 10].join(',');
    }),
  ).flat(),
].join('\n');

/** Mean over cars of the mean over a car's training rows. */
function expectedMean(value: (car: number, row: number) => number): number {
  const means = Array.from({ length: VEHICLES }, (_, car) => {
    const rows = Array.from({ length: rowsOf(car) * 0.8 }, (__, row) => value(car, row));
    return rows.reduce((a, b) => a + b, 0) / rows.length;
  });
  return means.reduce((a, b) => a + b, 0) / VEHICLES;
}

describe('sev statistics run', function () {
  this.timeout(120_000);
  let network: TestNetwork;
  let folder: string;
  let answer: CliRun;
  const file = (name: string): string => join(folder, name);
  const onTable = (...args: string[]): string[] => [
    ...args,
    ...['--data', file('trips.csv'), '--schema', file('trips.json'), '--homes', network.homes],
    ...['--split', 'car', '--vehicles', String(VEHICLES)],
  ];
  const train = (statistics: string, ...args: string[]): Promise<CliRun> =>
    sev(...onTable('round', 'run', '--task', 'table', '--statistics', statistics, ...args), '--runs', folder, '--json');
  const codeOf = ({ stdout }: CliRun): unknown => (JSON.parse(stdout) as { error?: { code: string } }).error?.code;

  before(async () => {
    network = await testNetwork();
    process.env['SEV_NETWORK_HOME'] = network.networkHome;
    folder = join(await network.newHome(), 'statistics');
    await mkdir(folder);
    await writeFile(file('trips.csv'), CSV);
    await writeFile(file('trips.json'), JSON.stringify(SCHEMA));
    const out = ['--task-id', 'statistics-example', '--out', file('statistics.json')];
    answer = await sev(...onTable('statistics', 'run', ...out), '--json');
  });

  it('gives the means over vehicles, whatever their number of rows, from an audited sum', () => {
    expect(answer.code, answer.stderr).to.equal(0);
    const found = JSON.parse(answer.stdout) as { vehicles: number; columns: unknown[]; audit: { ok: boolean } };
    expect(found.audit.ok).to.equal(true);
    expect(found.vehicles).to.equal(VEHICLES);
    const [km, road] = found.columns as [NumberStatistics, { categories: { name: string; share: number }[] }];
    const there = expectedMean((_, row) => (row === 3 ? 0 : 1));
    const mean = expectedMean((car, row) => (row === 3 ? 0 : kmOf(car, row))) / there;
    const second = expectedMean((car, row) => (row === 3 ? 0 : kmOf(car, row) ** 2)) / there;
    expect(km.missing).to.be.closeTo(1 - there, 1e-4);
    expect(km.mean).to.be.closeTo(mean, 1e-2);
    expect(km.deviation).to.be.closeTo(Math.sqrt(second - mean ** 2), 1e-2);
    const town = road.categories.find(({ name }) => name === 'town');
    expect(town?.share).to.be.closeTo(
      expectedMean((_, row) => (roadOf(row) === 'town' ? 1 : 0)),
      1e-4,
    );
  });

  it('scales the table of a task whose features are named after it', async () => {
    const run = await train(file('statistics.json'), '--rounds', '1', '--task-id', 'table-scaled');
    expect(run.code, run.stderr).to.equal(0);
    const { modelHash } = JSON.parse(await readFile(file('statistics.json'), 'utf8')) as StatisticsFile;
    const shown = await sev('task', 'show', 'table-scaled', '--homes', network.homes, '--json');
    const { task } = JSON.parse(shown.stdout) as { task: { features: string; model: { layers: number[] } } };
    expect(task.features)
      .to.match(/^csv\/trips-/)
      .and.to.contain(modelHash.slice(0, 32));
    // Kilometres and seats with their flags; motorway is kept, town and ferry are too rare for four vehicles.
    expect(task.model.layers[0]).to.equal(2 + 2 + 2);
  });

  it('can be read again from ledger and store, and from no other task', async () => {
    const read = (task: string) =>
      sev(
        ...['statistics', 'read', task, '--schema', file('trips.json'), '--out', file('read.json'), '--json'],
        ...['--store', join(network.homes, 'store', 'objects'), '--homes', network.homes],
      );
    expect((await read('statistics-example')).code).to.equal(0);
    expect(await readFile(file('read.json'), 'utf8')).to.equal(await readFile(file('statistics.json'), 'utf8'));
    const other = await read('table-scaled');
    expect([codeOf(other), other.code]).to.deep.equal(['STATISTICS_NOT_ON_LEDGER', 3]);
  });

  it('is of no use with other bytes, another model, another schema, or a promise that it does not keep', async () => {
    const good = JSON.parse(await readFile(file('statistics.json'), 'utf8')) as StatisticsFile;
    const values = new Float32Array(Uint8Array.from(Buffer.from(good.model, 'base64')).buffer);
    values[2] = values[2]! / 2;
    const bytes = parametersToBytes(values);
    const model = Buffer.from(bytes).toString('base64');
    const write = async (name: string, content: unknown): Promise<string> => {
      await writeFile(file(name), JSON.stringify(content));
      return file(name);
    };
    const cases: readonly (readonly [string, string, number, readonly string[]])[] = [
      [file('none.json'), 'STATISTICS_MISSING', 2, []],
      [await write('form.json', { ...good, vehicles: 0 }), 'FILE_MALFORMED', 5, []],
      [await write('bytes.json', { ...good, model }), 'CONTENT_HASH_MISMATCH', 5, []],
      [await write('model.json', { ...good, model, modelHash: sha256Hex(bytes) }), 'STATISTICS_NOT_ON_LEDGER', 3, []],
      [await write('task.json', { ...good, taskId: 'table-scaled' }), 'STATISTICS_NOT_ON_LEDGER', 3, []],
      [await write('other.json', { ...good, features: 'statistics/other' }), 'STATISTICS_FOREIGN', 2, []],
      [file('statistics.json'), 'STATISTICS_WITHOUT_NOISE', 2, ['--privacy', 'dp']],
    ];
    for (const [path, code, exitCode, args] of cases) {
      const run = await train(path, '--rounds', '1', ...args);
      expect([codeOf(run), run.code], path).to.deep.equal([code, exitCode]);
    }
  });

  it('says what is wrong with its input before it starts anything', async () => {
    await writeFile(file('declared.json'), JSON.stringify({ ...SCHEMA, features: [SCHEMA.features[2]] }));
    const base = ['statistics', 'run', '--homes', network.homes, '--json', '--data', file('trips.csv')];
    const declared = await sev(...base, '--schema', file('declared.json'));
    expect([codeOf(declared), declared.code]).to.deep.equal(['STATISTICS_NONE', 2]);
    const few = await sev(...base, '--schema', file('trips.json'), '--vehicles', '2');
    expect([codeOf(few), few.code]).to.deep.equal(['COHORT_TOO_SMALL', 2]);
    const price = await sev(
      'round',
      'run',
      '--statistics',
      file('statistics.json'),
      '--homes',
      network.homes,
      '--json',
    );
    expect([codeOf(price), price.code]).to.deep.equal(['USAGE', 2]);
    const unnamed = await sev(
      ...['vehicle', 'run', '--kind', 'statistics', '--data', file('trips.csv'), '--schema', file('trips.json')],
      ...['--client', '0/4', '--store', 'http://127.0.0.1:1', '--batcher', 'maker=http://127.0.0.1:1', '--json'],
    );
    expect([codeOf(unnamed), unnamed.code]).to.deep.equal(['TASK_NOT_NAMED', 2]);
  });
});
