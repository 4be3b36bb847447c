// SPDX-License-Identifier: Apache-2.0
import { resolve } from 'node:path';
import type { PrivacyMode, RoundRecord, SecureTerms } from '@sev/chaincode/api';
import { Option, type Command } from 'commander';
import { EXIT, SevError } from '../errors.js';
import {
  PRIVACY_MODES,
  PRIVACY_NOTE,
  hostileText,
  plotOf,
  privacyNotes,
  renderTable,
  summaryText,
} from '../report/summary.js';
import { terminalPlot } from '../report/terminal-plot.js';
import type { RunEvents } from '../run/run.js';
import type { RunPlan } from '../run/plan.js';
import { errorCode } from '../services/log.js';
import { collect } from '../services/rounds.js';
import type { DataSource, LearningKind } from '../vehicle/data.js';
import { auditProgress } from './audit.js';
import { addCommand, addGroup, type Runner } from './command.js';
import { TASK_KINDS, dataOf, dataOptions, type DataOptions } from './data-option.js';
import { EXIT_CODES } from './exit-codes.js';
import { homesFolder, withSession } from './homes.js';
import { learningOptions, ruleOption, validatingOption, type LearningOptions } from './learning-options.js';
import { Progress, progressText } from './progress.js';
import { roundText } from './round-text.js';
import type { Terminal } from './terminal.js';
import { SEED, operand, positive, shareOrNumber, wholeNumber } from './values.js';

interface LedgerOptions {
  readonly org: string;
  readonly home?: string;
  readonly homes?: string;
}
interface RunOptions extends DataOptions, LearningOptions {
  readonly task: LearningKind;
  readonly taskId?: string;
  readonly vehicles?: number;
  readonly patience?: number;
  readonly rule?: SecureTerms['rule'];
  readonly validatingVehicles?: number;
  readonly baselines: boolean;
  readonly attack?: string;
  readonly hostile?: number;
  readonly attackFrom?: number;
  readonly rounds: number;
  readonly split: string;
  readonly seed: number;
  readonly minimum?: number;
  readonly privacy: PrivacyMode;
  readonly epsilon?: number;
  readonly ring: '16' | '32';
  readonly resume?: string;
  readonly until?: number;
  readonly homes?: string;
  readonly runs: string;
}

function ledgerOptions(command: Command): void {
  command.option('--org <name>', 'organisation whose identity is used', 'grid');
  command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
  command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
}

export function roundCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'round', 'run rounds and look at them');
  addRun(group, run);
  addStatus(group, run);
  addList(group, run);
  addShow(group, run);
}

function addRun(group: Command, run: Runner): void {
  addCommand<RunOptions>(group, run, {
    usage: 'run',
    summary: 'the whole job: vehicles, task, rounds, baselines, audit, report',
    examples: [
      'sev round run --vehicles 20 --rounds 10',
      'sev round run --data "CAR DETAILS FROM CAR DEKHO.csv" --vehicles 10 --rounds 30 --split brand',
      'sev round run --task demand --data Dataset1_charging_reports.csv --split location --rounds 30',
      'sev round run --task table --data my.csv --schema my-schema.json --vehicles 10',
      'sev round run --vehicles 20 --attack label-flip --hostile 0.2',
      'sev round run --rounds 12 --until 6',
      'sev round run --resume price-1f0c9a7e',
    ],
    notes:
      'The network must be up (`make network-up`). Store, attesters, coordinator and vehicles run as programs of their\n' +
      'own on this machine, with their homes in .sev. Results: runs/latest/report.json and accuracy.svg.\n' +
      `Modes of --privacy:\n${Object.values(PRIVACY_NOTE)
        .map((note) => `  ${note}\n`)
        .join('')}` +
      'With --attack some of the vehicles, or a validator, attack on purpose, for exercises; `sev attack list` says how.\n' +
      'After Ctrl-C, --resume goes on from the ledger; so does the same command with the same --task-id.',
    options: (command) => {
      command.addOption(
        new Option('--task <kind>', 'what is learned: prices of cars, energy of charging, or a table of your own')
          .choices(TASK_KINDS)
          .default('price'),
      );
      dataOptions(command);
      command.option('--vehicles <n>', 'vehicles that take part', wholeNumber(1, 10_000));
      command.option('--rounds <n>', 'rounds', wholeNumber(1, 100_000), 10);
      command.option(
        '--split <name>',
        'iid, or what divides the training rows: brand, seller, fuel, …; of demand location or user',
        'iid',
      );
      command.option(
        '--seed <n>',
        'seed of the training, the generated rows and, with the task id, of the model',
        SEED,
        1,
      );
      command.option(
        '--minimum <n>',
        'fewest updates of a round (default: a third of the vehicles)',
        wholeNumber(1, 10_000),
      );
      command.addOption(
        new Option('--privacy <mode>', 'who may see an update').choices(PRIVACY_MODES).default('secure'),
      );
      command.option('--epsilon <x>', 'privacy of mode dp for all rounds together, at δ = 1e-5 (default 8)', positive);
      command.addOption(
        new Option('--ring <bits>', 'in mode secure: 16 halves the upload, opens sums only, weighs all vehicles alike')
          .choices(['16', '32'])
          .default('32'),
      );
      ruleOption(command);
      validatingOption(command);
      learningOptions(command);
      command.option('--patience <n>', 'end early after so many rounds without a better R²', wholeNumber(1, 100_000));
      command.option(
        '--no-baselines',
        'do not train in one place and alone to compare, which takes long with an LSTM and much data',
      );
      command.option('--attack <name>', 'for exercises: some attack on purpose (see `sev attack list`)');
      command.option(
        '--hostile <share>',
        'share of the vehicles that attack, or from 1 on their number (default 0.2); the seed draws which',
        shareOrNumber,
      );
      command.option(
        '--until <round>',
        'end after this round of those that are planned; --resume goes on',
        wholeNumber(1, 100_000),
      );
      command.option('--attack-from <round>', 'first round in which they attack (default 1)', wholeNumber(1, 100_000));
      command.option('--task-id <id>', 'id of the task on the ledger (default: a new one)');
      command.option('--resume <task>', 'go on with an interrupted run');
      command.option('--homes <folder>', "folder of the programs' homes (default .sev)");
      command.option('--runs <folder>', 'folder of the reports', 'runs');
    },
    work: async ({ terminal, signal }, options) => {
      const homes = homesFolder(options.homes);
      const plan = await planOf(options, homes);
      const { runRounds } = await import('../run/run.js');
      const runs = resolve(options.runs);
      const { report, folder } = await runRounds({
        plan,
        until: options.until,
        homes,
        runs,
        baselines: options.baselines,
        signal: signal(),
        events: runEvents(terminal),
      });
      terminal.note('the network keeps running; `make network-down` stops it');
      const plot = report.rounds.length > 1 ? `\n\n${terminalPlot(plotOf(report), terminal.paint)}` : '';
      return {
        data: report,
        text:
          `${summaryText(report)}${plot}\n\nreport ${folder}/report.json, plot ${folder}/accuracy.svg` +
          pausedText(plan, options.until),
        exitCode: report.audit.ok ? EXIT_CODES.ok.code : EXIT_CODES.refused.code,
      };
    },
  });
}

/** What to do about rounds that are planned and were not run. */
function pausedText({ taskId, rounds }: RunPlan, until = rounds): string {
  return until < rounds
    ? `\npaused after round ${String(until)} of ${String(rounds)}\n→ sev round run --resume ${taskId}`
    : '';
}

async function planOf(options: RunOptions, homes: string): Promise<RunPlan> {
  const { assertSamePlan, findPlan, loadPlan, newTaskId } = await import('../run/plan.js');
  const { DEFAULT_EPSILON, minimumCohort } = await import('../run/secure-terms.js');
  const { defaultRule, insistOnValidating, plannedValidating } = await import('../run/validation-plan.js');
  const { plannedAttack } = await import('../run/exercise.js');
  if (options.resume !== undefined) {
    return loadPlan(homes, options.resume);
  }
  insistOnRing(options);
  insistOnAttack(options);
  insistOnRule(options);
  const { rounds, split, seed, privacy } = options;
  const data = dataOf(options.task, options, { seed, vehicles: options.vehicles });
  const vehicles = options.vehicles ?? (await defaultVehicles(data, split));
  const taskId = options.taskId ?? newTaskId(options.task);
  const earlier = await findPlan(homes, taskId);
  const variant = variantOf(options, DEFAULT_EPSILON);
  const rule = options.rule ?? defaultRule({ privacy, vehicles, ...variant });
  insistOnValidating(rule, options.validatingVehicles);
  const plan: RunPlan = {
    schemaVersion: 1,
    taskId,
    kind: options.task,
    data,
    split,
    seed,
    vehicles,
    rounds,
    minimumCohort: minimumCohort(privacy, vehicles, options.minimum),
    privacy,
    ...variant,
    ...(rule === undefined ? {} : { rule }),
    ...plannedValidating(rule, vehicles, options.validatingVehicles, earlier),
    ...(options.attack === undefined
      ? {}
      : { attack: plannedAttack(options.attack, vehicles, options.hostile, options.attackFrom) }),
    vehicleIds: earlier?.vehicleIds ?? [],
    ...(earlier?.endedAfter === undefined ? {} : { endedAfter: earlier.endedAfter }),
    startedAt: earlier?.startedAt ?? new Date().toISOString(),
  };
  if (earlier !== undefined) {
    assertSamePlan(earlier, plan);
  }
  return plan;
}

const DEFAULT_VEHICLES = 20;

/** As many as the split has natural clients: locations, users; else twenty. */
async function defaultVehicles(data: DataSource, split: string): Promise<number> {
  if (split === 'iid') {
    return DEFAULT_VEHICLES;
  }
  const { openTable } = await import('../vehicle/data.js');
  const table = await openTable(data);
  try {
    return table.split({ split }).clients.length;
  } catch (error) {
    if (errorCode(error) === 'DATA_OPTION_INVALID') {
      return DEFAULT_VEHICLES;
    }
    throw error;
  }
}

/** What a run departs from the defaults in. */
function variantOf(
  { ring, privacy, epsilon: asked, engine, server, proximal, patience }: RunOptions,
  defaultEpsilon: number,
): Pick<RunPlan, 'ringBits' | 'epsilon' | 'engine' | 'server' | 'proximal' | 'patience'> {
  return {
    ...(engine === 'tfjs' ? { engine } : {}),
    ...(server === undefined ? {} : { server }),
    ...(proximal === undefined ? {} : { proximal }),
    ...(patience === undefined ? {} : { patience }),
    ...(ring === '16' ? { ringBits: 16 } : {}),
    ...(privacy === 'dp' ? { epsilon: asked ?? defaultEpsilon } : {}),
  };
}

function insistOnRing(options: RunOptions): void {
  if (options.ring === '16' && options.privacy !== 'secure') {
    throw new SevError('RING_TOO_NARROW', `mode ${options.privacy} does not run in the ring of 16 bits`, {
      hint: 'It goes with --privacy secure.',
      exitCode: EXIT.usage,
    });
  }
}

function insistOnRule({ rule, privacy, ring }: RunOptions): void {
  if (rule !== undefined && rule !== 'uniform' && (privacy !== 'secure' || ring === '16')) {
    throw new SevError('USAGE', `--rule ${rule} weighs vehicles by what is opened of their updates; here nothing is`, {
      hint: 'It goes with --privacy secure in the ring of 32 bits.',
      exitCode: EXIT.usage,
    });
  }
}

function insistOnAttack({ attack, hostile, attackFrom, engine }: RunOptions): void {
  if (attack === undefined && hostile !== undefined) {
    throw new SevError('USAGE', '--hostile says how many run the attack that --attack names', { exitCode: EXIT.usage });
  }
  if (attack === undefined && attackFrom !== undefined) {
    throw new SevError('USAGE', '--attack-from says when the attack begins that --attack names', {
      exitCode: EXIT.usage,
    });
  }
  if (attack !== undefined && engine === 'tfjs') {
    throw new SevError('ATTACK_UNSUITED', 'vehicles attack tasks that train with engine dense', {
      hint: 'Leave --engine out.',
      exitCode: EXIT.usage,
    });
  }
}

/** Shows a run while it goes on. */
function runEvents(terminal: Terminal): RunEvents {
  const enrolling = new Progress({ terminal, label: 'enrolled', unit: 'vehicles' });
  const auditing = auditProgress(terminal);
  /** The rate is that of the rounds themselves: a run that goes on tells those before it at once. */
  const seen = { rounds: 0, ms: 0 };
  return {
    onStep: (text) => {
      terminal.note(text);
    },
    onEnrolled: (done, total) => {
      enrolling.update(done, total);
    },
    onHostile: (hostile) => {
      terminal.warn(hostileText(hostile));
    },
    onRound: (round, rounds) => {
      seen.rounds += 1;
      seen.ms += round.ms.total;
      const perSecond = seen.ms > 0 ? (seen.rounds / seen.ms) * 1_000 : 0;
      const figures = `R² ${round.r2.toFixed(3)} · ${round.ms.total.toFixed(0)} ms`;
      terminal.status(progressText({ label: 'round', unit: 'rounds' }, round.round, rounds, perSecond, figures));
    },
    onAudit: (done, total, stage) => {
      const progress = { stage: stage === 'rounds' ? 'rounds' : 'blocks', done } as const;
      auditing(total === undefined ? progress : { ...progress, total });
    },
    onLog: (program, line) => {
      terminal.note(`${program}: ${line}`);
    },
  };
}

function addStatus(group: Command, run: Runner): void {
  addCommand<LedgerOptions>(group, run, {
    usage: 'status <task>',
    summary: 'show the newest round of a task and how many updates it has',
    examples: ['sev round status price-1', 'sev round status price-1 --json'],
    options: ledgerOptions,
    work: (_context, options, [taskId = '']) =>
      withSession({ ...options, label: 'operator' }, async ({ session, profile }) => {
        const { learning } = await import('../ledger/index.js');
        const contract = learning(session);
        const { task } = await contract.task(taskId);
        const rounds = await collect(contract.rounds(taskId));
        const latest = rounds.reduce<RoundRecord | undefined>(
          (a, b) => (a === undefined || b.round > a.round ? b : a),
          undefined,
        );
        const updates = latest === undefined ? [] : await collect(contract.updates(latest));
        const { trust } = profile.network;
        const data = {
          taskId,
          plannedRounds: task.plannedRounds,
          privacy: task.privacy,
          trust,
          round: latest ?? null,
          recorded: updates.length,
        };
        const state =
          latest === undefined
            ? 'no round has been opened'
            : `round ${String(latest.round)} of ${String(task.plannedRounds)}, attempt ${String(latest.attempt)}: ${latest.state}, ` +
              `${String(updates.length)} of ${String(task.cohort.target)} updates recorded`;
        return { data, text: [`task ${taskId}: ${state}`, PRIVACY_NOTE[task.privacy], `trust: ${trust}`].join('\n') };
      }),
  });
}

function addList(group: Command, run: Runner): void {
  addCommand<LedgerOptions>(group, run, {
    usage: 'list <task>',
    summary: 'list the rounds of a task',
    examples: ['sev round list price-1'],
    options: ledgerOptions,
    work: (_context, options, [taskId = '']) =>
      withSession({ ...options, label: 'operator' }, async ({ session }) => {
        const { learning } = await import('../ledger/index.js');
        const contract = learning(session);
        await contract.task(taskId);
        const rounds = (await collect(contract.rounds(taskId))).sort((a, b) => a.round - b.round);
        const rows = rounds.map((round) => [
          String(round.round),
          String(round.attempt),
          round.state,
          String(round.proposal?.cohortSize ?? ''),
          round.finalisedAtMs === undefined ? '' : String(round.finalisedAtMs - round.openedAtMs),
          round.openedBy,
          (round.proposal?.modelHash ?? '').slice(0, 16),
          round.privacy,
        ]);
        const head = ['round', 'attempt', 'state', 'cohort', 'ms', 'opened by', 'model', 'privacy'];
        const table = renderTable(head, rows, new Set([0, 1, 3, 4]));
        return {
          data: rounds,
          text: rounds.length === 0 ? 'no round has been opened' : `${table}\n${privacyNotes(rounds)}`,
        };
      }),
  });
}

function addShow(group: Command, run: Runner): void {
  addCommand<LedgerOptions>(group, run, {
    usage: 'show <task> <round>',
    summary: 'show a round: what came of it, who could see what, its recorded updates',
    examples: ['sev round show price-1 4', 'sev round show price-1 4 --json'],
    options: ledgerOptions,
    work: async (_context, options, [taskId = '', number = '']) => {
      const round = operand('round', number, wholeNumber(1, 1_000_000));
      return withSession({ ...options, label: 'operator' }, async ({ session }) => {
        const { incidents, learning } = await import('../ledger/index.js');
        const contract = learning(session);
        const record = await contract.round({ taskId, round });
        const [{ task }, updates] = await Promise.all([contract.task(taskId), collect(contract.updates(record))]);
        const { judgedRound, judgedVehicles } = await import('../report/judged-round.js');
        const [judged, vehicles] = await Promise.all([
          judgedRound({ learning: contract, incidents: incidents(session) }, record),
          judgedVehicles(contract, record),
        ]);
        return {
          data: { ...record, updates, vehicles, ...(judged && { judged }) },
          text: roundText(task, record, updates, { round: judged, vehicles }),
        };
      });
    },
  });
}
