// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { learning } from '../ledger/contracts.js';
import { reportSchema, type Report } from '../report/report.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { sev } from '../testing/run.js';

const SCHEMA = {
  name: 'ranges',
  target: { column: 'range', unit: 'km', offset: 200, scale: 100 },
  features: [
    { type: 'number', column: 'battery', centre: 50, scale: 25 },
    { type: 'category', column: 'season', vocabulary: ['summer', 'winter'] },
  ],
  splits: [{ column: 'town', kind: 'values' }],
  test: { by: 'hash' },
};

/** Ranges of cars in four towns, the same every time. */
function ranges(): string {
  const lines = Array.from({ length: 240 }, (_, i) => {
    const battery = 20 + ((i * 37) % 80);
    const season = i % 3 === 0 ? 'winter' : 'summer';
    const range = Math.round(battery * (season === 'winter' ? 4 : 5.5) + ((i * 17) % 13));
    return `${String(battery)},${season},town ${String(i % 4)},${String(range)}`;
  });
  return ['battery,season,town,range', ...lines, ''].join('\n');
}

describe('Tasks of other kinds than price', function () {
  this.timeout(300_000);
  let network: TestNetwork;
  let directory: string;

  before(async () => {
    network = await testNetwork();
    process.env['SEV_NETWORK_HOME'] = network.networkHome;
    directory = await mkdtemp(join(tmpdir(), 'sev-kinds-'));
  });

  after(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const run = async (...args: string[]): Promise<Report> => {
    const folders = ['--homes', network.homes, '--runs', join(directory, 'runs')];
    const answer = await sev('round', 'run', ...args, ...folders, '--json');
    expect(answer.code, answer.stderr).to.equal(0);
    return reportSchema.parse(JSON.parse(answer.stdout));
  };

  it('learn the energy of charging by location, with an optimiser of the server, and tell what fine-tuning brings', async () => {
    const report = await run(
      ...[
        '--task',
        'demand',
        '--split',
        'location',
        '--rounds',
        '2',
        '--server',
        'momentum',
        '--task-id',
        'demand-test',
      ],
    );
    expect(report).to.include({ task: 'demand', unit: 'kWh', split: 'location', vehicles: 12, aggregation: 'secure' });
    expect(report.audit.ok).to.equal(true);
    expect(report.rounds.map(({ cohort }) => cohort)).to.deep.equal([12, 12]);
    expect(report.rounds[1]!.mae).to.be.within(0.5, 30);
    expect(report.personalised!.mae).to.be.lessThan(report.personalised!.before.mae);
    expect(report.vehicle!.bytesUp).to.be.greaterThan(0);
    const contract = learning(await network.session('grid', 'operator'));
    const { task } = await contract.task('demand-test');
    expect(task.aggregation.server).to.deep.include({ kind: 'momentum' });
    const { proposal } = await contract.round({ taskId: 'demand-test', round: 2 });
    expect(proposal!.serverStateHash).to.match(/^[0-9a-f]{64}$/);
  });

  it('learn a table of one’s own by its schema, and end early where nothing gets better', async () => {
    const [data, schema] = [join(directory, 'ranges.csv'), join(directory, 'schema.json')];
    await writeFile(data, ranges());
    await writeFile(schema, JSON.stringify(SCHEMA));
    const report = await run(
      ...['--task', 'table', '--data', data, '--schema', schema, '--split', 'town', '--rounds', '40'],
      ...['--patience', '1', '--proximal', '0.01', '--task-id', 'table-test'],
    );
    expect(report).to.include({ task: 'table', unit: 'km', vehicles: 4 });
    expect(report.audit.ok).to.equal(true);
    expect(report.rounds.length).to.be.within(2, 39);
    expect(report.baselines!.central.r2).to.be.greaterThan(0.5);
  });

  it('are refused by name where options, schema and data do not fit', async () => {
    const [data, schema] = [join(directory, 'other.csv'), join(directory, 'other.json')];
    await writeFile(data, 'battery,season\n1,summer\n');
    await writeFile(schema, JSON.stringify(SCHEMA));
    const refused = async (...args: string[]): Promise<string> => {
      const answer = await sev('round', 'run', '--homes', network.homes, ...args);
      expect(answer.code).not.to.equal(0);
      return answer.stderr;
    };
    expect(await refused('--task', 'table', '--data', data)).to.include('USAGE: ');
    expect(await refused('--schema', schema)).to.include('USAGE: ');
    expect(await refused('--task', 'table', '--data', data, '--schema', schema)).to.include('DATA_COLUMN_MISSING: ');
    const missing = join(directory, 'missing.json');
    expect(await refused('--task', 'table', '--data', data, '--schema', missing)).to.include('DATA_FILE_MISSING: ');
    expect(await refused('--task', 'demand', '--split', 'planet')).to.include('SPLIT_UNKNOWN: ');
    expect(await refused('--task', 'demand', '--split', 'location', '--vehicles', '5')).to.include(
      'DATA_OPTION_INVALID: ',
    );
  });
});
