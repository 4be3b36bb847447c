// SPDX-License-Identifier: Apache-2.0
import { relative, resolve } from 'node:path';
import type { PrivacyMode } from '@sev/chaincode/api';
import type { CategoryStatistics, ColumnStatistics, NumberStatistics } from '@sev/fl';
import { Option, type Command } from 'commander';
import { PRIVACY_MODES, renderTable, statisticsNote } from '../report/summary.js';
import type { StatisticsOutcome, StatisticsPlan } from '../run/statistics.js';
import { auditProgress } from './audit.js';
import { addCommand, addGroup, type Runner } from './command.js';
import { EXIT_CODES } from './exit-codes.js';
import { homesFolder, withSession } from './homes.js';
import { Progress } from './progress.js';
import { SEED, positive, wholeNumber } from './values.js';

interface RunOptions {
  readonly data: string;
  readonly schema: string;
  readonly split: string;
  readonly vehicles?: number;
  readonly seed: number;
  readonly minimum?: number;
  readonly privacy: PrivacyMode;
  readonly epsilon?: number;
  readonly taskId?: string;
  readonly out?: string;
  readonly homes?: string;
}

interface ReadOptions {
  readonly schema: string;
  readonly store: string;
  readonly out?: string;
  readonly org: string;
  readonly home?: string;
  readonly homes?: string;
}

const DEFAULT_VEHICLES = 20;

export function statisticsCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'statistics', 'means, deviations and shares over vehicles, by secure sums');
  addRun(group, run);
  addRead(group, run);
}

function addRun(group: Command, run: Runner): void {
  addCommand<RunOptions>(group, run, {
    usage: 'run',
    summary: 'compute what a schema leaves to statistics, in one round, audited',
    examples: [
      'sev statistics run --data my.csv --schema my-schema.json --vehicles 20 --out my-statistics.json',
      'sev round run --task table --data my.csv --schema my-schema.json --statistics my-statistics.json',
    ],
    notes:
      'Of number columns that declare low and high, and of categories that declare a threshold. All vehicles count alike,\n' +
      'whatever their number of rows; no projection is opened. The network must be up (`make network-up`).\n' +
      'After Ctrl-C the same command with the same --task-id goes on.',
    options: (command) => {
      command.requiredOption('--data <file>', 'CSV file as the schema says');
      command.requiredOption('--schema <file>', 'JSON file that declares target, features and splits of the data');
      command.option('--split <name>', 'iid, or a split of the schema', 'iid');
      command.option('--vehicles <n>', 'vehicles that take part (default 20)', wholeNumber(1, 10_000));
      command.option('--seed <n>', "with the task id, of the task's own mark in its model", SEED, 1);
      command.option('--minimum <n>', 'fewest vehicles in the sum (default: a third of them)', wholeNumber(1, 10_000));
      command.addOption(
        new Option('--privacy <mode>', 'who may see what a vehicle reports').choices(PRIVACY_MODES).default('secure'),
      );
      command.option('--epsilon <x>', 'privacy of mode dp, at δ = 1e-5 (default 8)', positive);
      command.option('--task-id <id>', 'id of the task on the ledger (default: a new one)');
      command.option('--out <file>', 'file of the statistics (default: runs/<task>.statistics.json)');
      command.option('--homes <folder>', "folder of the programs' homes (default .sev)");
    },
    work: async ({ terminal, signal }, options) => {
      const homes = homesFolder(options.homes);
      const plan = await planOf(options, homes);
      const { runStatistics } = await import('../run/statistics.js');
      const enrolling = new Progress({ terminal, label: 'enrolled', unit: 'vehicles' });
      const auditing = auditProgress(terminal);
      const out = outOf(options.out, plan.taskId);
      const outcome = await runStatistics({
        ...{ plan, homes, out, signal: signal() },
        events: {
          onStep: (text) => {
            terminal.note(text);
          },
          onEnrolled: (done, total) => {
            enrolling.update(done, total);
          },
          onAudit: (done, total, stage) => {
            const progress = { stage: stage === 'rounds' ? 'rounds' : 'blocks', done } as const;
            auditing(total === undefined ? progress : { ...progress, total });
          },
          onLog: (name, line) => {
            terminal.note(`${name}: ${line}`);
          },
        },
      });
      const { model: _bytes, ...facts } = outcome.file;
      const { statistics, privacy, audit } = outcome;
      return {
        data: { ...facts, ...statistics, ...(privacy && { spent: privacy }), audit, out },
        text: textOf(outcome, out),
        exitCode: audit.ok ? EXIT_CODES.ok.code : EXIT_CODES.refused.code,
      };
    },
  });
}

function addRead(group: Command, run: Runner): void {
  addCommand<ReadOptions>(group, run, {
    usage: 'read <task>',
    summary: 'write the statistics of a finished task, from ledger and store',
    examples: ['sev statistics read statistics-1f0c9a7e --schema my-schema.json --store http://127.0.0.1:8100'],
    options: (command) => {
      command.requiredOption('--schema <file>', 'JSON file that declares the columns');
      command.requiredOption('--store <url>', 'address or folder of the store that holds the model');
      command.option('--out <file>', 'file of the statistics (default: runs/<task>.statistics.json)');
      command.option('--org <name>', 'organisation whose identity is used', 'grid');
      command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
      command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
    },
    work: (_context, options, [taskId = '']) =>
      withSession({ ...options, label: 'operator' }, async ({ session }) => {
        const [{ readStatisticsOf }, { openStore }] = await Promise.all([
          import('../run/statistics.js'),
          import('../run/audit-ledger.js'),
        ]);
        const out = outOf(options.out, taskId);
        const { schema, store } = options;
        const read = await readStatisticsOf(session, taskId, { schema, store: await openStore(store), out });
        const { model: _bytes, ...facts } = read.file;
        return { data: { ...facts, ...read.statistics, out }, text: textOf(read, out) };
      }),
  });
}

function outOf(out: string | undefined, taskId: string): string {
  return resolve(out ?? `runs/${taskId}.statistics.json`);
}

async function planOf(options: RunOptions, homes: string): Promise<StatisticsPlan> {
  const { assertSamePlan, findPlan, newTaskId } = await import('../run/plan.js');
  const { DEFAULT_EPSILON, minimumCohort } = await import('../run/secure-terms.js');
  const { split, seed, privacy, epsilon = DEFAULT_EPSILON, vehicles = DEFAULT_VEHICLES } = options;
  const taskId = options.taskId ?? newTaskId('statistics');
  const earlier = await findPlan(homes, taskId);
  const plan: StatisticsPlan = {
    schemaVersion: 1,
    taskId,
    kind: 'statistics',
    data: { source: 'file', path: resolve(options.data), kind: 'statistics', schema: resolve(options.schema) },
    ...{ split, seed, vehicles, privacy },
    rounds: 1,
    minimumCohort: minimumCohort(privacy, vehicles, options.minimum),
    ...(privacy === 'dp' ? { epsilon } : {}),
    vehicleIds: earlier?.vehicleIds ?? [],
    startedAt: earlier?.startedAt ?? new Date().toISOString(),
  };
  if (earlier !== undefined) {
    assertSamePlan(earlier, plan);
  }
  return plan;
}

function textOf(
  { file, statistics, privacy, audit }: Pick<StatisticsOutcome, 'file' | 'statistics'> & Partial<StatisticsOutcome>,
  out: string,
): string {
  const { taskId, vehicles, modelHash } = file;
  const short = relative('.', out);
  const path = short.startsWith('..') ? out : short;
  const spent = privacy === undefined ? [] : [`spent ε ${privacy.epsilon.toFixed(2)} at δ ${String(privacy.delta)}`];
  return [
    `task ${taskId} · mean over ${String(vehicles)} vehicles, ${statistics.rowsPerVehicle.toFixed(0)} rows each · ${statisticsNote(file.privacy)}`,
    '',
    renderTable(
      ['column', 'mean', 'deviation', 'missing', 'categories'],
      statistics.columns.map(rowOf),
      new Set([1, 2, 3]),
    ),
    '',
    `by rounding and noise a share is off by ±${percent(statistics.error)} (one deviation), a mean by about as much of half its range`,
    ...spent,
    ...(audit === undefined ? [] : [`audit ${audit.ok ? 'ok' : 'failed'}: ${String(audit.checked)} items checked`]),
    `model ${modelHash}`,
    `statistics in ${path}; train with: sev round run --task table … --statistics ${path}`,
  ].join('\n');
}

function rowOf(statistics: ColumnStatistics): string[] {
  return [
    statistics.column,
    ...(statistics.type === 'number' ? numberCells(statistics) : ['', '']),
    percent(statistics.missing),
    statistics.type === 'category' ? sharesText(statistics) : '',
  ];
}

function numberCells({ mean, deviation }: NumberStatistics): string[] {
  return [mean, deviation].map((value) => (value === undefined ? 'none' : value.toPrecision(4)));
}

/** The largest shares. */
function sharesText({ categories }: CategoryStatistics): string {
  const shown = categories.toSorted((a, b) => b.share - a.share).slice(0, SHOWN);
  const rest = categories.length - shown.length;
  const text = shown.map(({ name, share }) => `${name} ${percent(share)}`).join(', ');
  return rest === 0 ? text : `${text}, ${String(rest)} more`;
}

const SHOWN = 4;

function percent(share: number): string {
  const hundredths = share * 100;
  return `${hundredths > 0 && hundredths < 0.05 ? hundredths.toExponential(0) : hundredths.toFixed(1)} %`;
}
