// SPDX-License-Identifier: Apache-2.0
import type { PrivacyMode, SecureTerms, Task, TaskRecord } from '@sev/chaincode/api';
import { Option, type Command } from 'commander';
import { epsilonOf } from '@sev/fl';
import { organisationNamed, type ConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import { heTaskLines } from '../homomorphic/lines.js';
import type { PreparedTask, TaskOptions } from '../run/learning-task.js';
import type { DemandForm, TaskKind } from '../vehicle/data.js';
import type { LedgerSession } from '../ledger/index.js';
import { counted } from '../report/plural.js';
import { PRIVACY_MODES, PRIVACY_NOTE, privacyNotes, renderTable, statisticsNote } from '../report/summary.js';
import { addCommand, addGroup, type Runner } from './command.js';
import { withSession } from './homes.js';
import { insistOnSchema, kindOptions } from './data-option.js';
import { learningOptions, ruleOption, validatingOption, type LearningOptions } from './learning-options.js';
import { SEED, positive, wholeNumber } from './values.js';

interface LedgerOptions {
  readonly org: string;
  readonly home?: string;
  readonly homes?: string;
}
interface CreateOptions extends LedgerOptions, LearningOptions {
  readonly kind: TaskKind;
  readonly form: DemandForm;
  readonly schema?: string;
  readonly statistics?: string;
  readonly vehicles: number;
  readonly rounds?: number;
  readonly rows: number;
  readonly seed: number;
  readonly minimum?: number;
  readonly privacy: PrivacyMode;
  readonly epsilon?: number;
  readonly rule?: SecureTerms['rule'];
  readonly aggregators?: readonly string[];
  readonly validators?: readonly string[];
  readonly validatingVehicles?: number;
  readonly grace?: number;
  readonly deadline?: number;
  readonly store: string;
}

const DEFAULT_ROUNDS = 10;

function ledgerOptions(command: Command): void {
  command.option('--org <name>', 'organisation whose identity is used', 'grid');
  command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
  command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
}

export function taskCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'task', 'learning tasks on the ledger');
  addCommand<CreateOptions>(group, run, {
    usage: 'create <task>',
    summary: 'create a task, with its initial model in the store',
    examples: [
      'sev task create price-1 --vehicles 20 --rounds 10 --store http://127.0.0.1:8100',
      'sev task create price-2 --privacy dp --epsilon 8 --store http://127.0.0.1:8100',
      'sev task create trips-scales --kind statistics --schema trips.json --vehicles 20 --store http://127.0.0.1:8100',
      'sev task create trips-1 --kind table --schema trips.json --statistics trips-scales.json --store http://127.0.0.1:8100',
    ],
    notes: `Modes of --privacy:\n${PRIVACY_MODES.map((mode) => `  ${PRIVACY_NOTE[mode]}\n`).join('')}`,
    options: (command) => {
      command.requiredOption('--store <url>', 'address or folder of the store, for the initial model');
      kindOptions(command);
      learningOptions(command);
      command.option('--vehicles <n>', 'with this many updates a round closes at once', wholeNumber(1, 100_000), 20);
      command.option(
        '--minimum <n>',
        'fewest updates of a round (default: a third of the vehicles)',
        wholeNumber(1, 100_000),
      );
      command.addOption(
        new Option('--privacy <mode>', 'who may see an update').choices(PRIVACY_MODES).default('secure'),
      );
      command.option('--epsilon <x>', 'privacy of mode dp for all rounds together, at δ = 1e-5 (default 8)', positive);
      command.option('--aggregators <org...>', 'three to seven organisations (default: all but the regulator)');
      ruleOption(command);
      command.option(
        '--validators <org...>',
        'organisations whose attesters validate, started with --validation-data (default: all, where the rule needs them)',
      );
      validatingOption(command);
      command.option('--rounds <n>', 'planned rounds (default 10; of statistics always 1)', wholeNumber(1, 1_000_000));
      command.option(
        '--rows <n>',
        'training rows expected in all; lays out the weight classes',
        wholeNumber(1, 1e9),
        3_000,
      );
      command.option('--seed <n>', 'seed of the training and, with the task id, of the initial model', SEED, 1);
      command.option(
        '--grace <s>',
        'seconds after which a round that has its minimum closes (default 15; of an LSTM 300)',
        wholeNumber(1, 86_400),
      );
      command.option(
        '--deadline <s>',
        'seconds after which any organisation may close a round (default 300; of an LSTM 6000)',
        wholeNumber(1, 86_400),
      );
      ledgerOptions(command);
    },
    work: (_context, options, [taskId = '']) =>
      withSession({ ...options, label: 'operator' }, async ({ session, profile }) => {
        const [{ openStore }, { learning }] = await Promise.all([
          import('../run/audit-ledger.js'),
          import('../ledger/index.js'),
        ]);
        const { task, initialModel } = await prepareTask(session, profile, taskId, options);
        await (await openStore(options.store)).put(initialModel);
        const { result, transactionId } = await learning(session).createTask(task);
        return { data: { ...result, transactionId }, text: `${taskText(result.task)}\ntransaction ${transactionId}` };
      }),
  });
  addCommand<LedgerOptions>(group, run, {
    usage: 'list',
    summary: 'list the tasks on the ledger',
    examples: ['sev task list', 'sev task list --json'],
    options: ledgerOptions,
    work: (_context, options) =>
      withSession({ ...options, label: 'operator' }, async ({ session }) => {
        const { learning } = await import('../ledger/index.js');
        const tasks: TaskRecord[] = [];
        for await (const task of learning(session).tasks()) {
          tasks.push(task);
        }
        const rows = tasks.map(({ task, createdBy, createdAtMs }) => [
          task.taskId,
          task.kind,
          String(task.plannedRounds),
          `${String(task.cohort.minimum)}–${String(task.cohort.target)}`,
          task.privacy,
          createdBy,
          new Date(createdAtMs).toISOString(),
        ]);
        const table = renderTable(
          ['task', 'kind', 'rounds', 'cohort', 'privacy', 'created by', 'at'],
          rows,
          new Set([2]),
        );
        return {
          data: tasks,
          text: tasks.length === 0 ? 'no tasks are on the ledger' : `${table}\n${privacyNotes(tasks)}`,
        };
      }),
  });
  addCommand<LedgerOptions>(group, run, {
    usage: 'show <task>',
    summary: 'show a task',
    examples: ['sev task show price-1'],
    options: ledgerOptions,
    work: (_context, options, [taskId = '']) =>
      withSession({ ...options, label: 'operator' }, async ({ session }) => {
        const { learning } = await import('../ledger/index.js');
        const { spentOnLedger } = await import('../run/spent-privacy.js');
        const record = await learning(session).task(taskId);
        const privacy = await spentOnLedger(session, record.task);
        const spent =
          privacy === undefined
            ? ''
            : `\nspent      ε ${privacy.epsilon.toFixed(2)} at δ ${String(privacy.delta)}: ${String(privacy.chargedMicroRho)} of ${String(privacy.budgetMicroRho)} millionths of ρ`;
        return { data: { ...record, ...(privacy && { privacy }) }, text: `${taskText(record.task)}${spent}` };
      }),
  });
}

/** @throws SevError USAGE where options do not go together; DataError. */
async function prepareTask(
  session: LedgerSession,
  profile: ConnectionProfile,
  taskId: string,
  options: CreateOptions,
): Promise<PreparedTask> {
  const [
    { choiceOf, learningTask },
    { statisticsTask },
    defaults,
    { featuresOf, summedFeatures },
    { chargedForStatistics },
    { defaultRule, defaultValidators, defaultValidatingVehicles, insistOnValidating, judgedBy },
  ] = await Promise.all([
    import('../run/learning-task.js'),
    import('../run/statistics-task.js'),
    import('../run/secure-terms.js'),
    import('../vehicle/data.js'),
    import('../run/run.js'),
    import('../run/validation-plan.js'),
  ]);
  const { kind, schema, statistics, privacy, vehicles, seed, grace, deadline } = options;
  insistOnSchema(kind, schema, statistics);
  insistOnOneRound(options);
  const common: Omit<TaskOptions, 'rounds' | 'trainingRows'> = {
    ...{ taskId, vehicles, seed, privacy },
    ...(grace === undefined ? {} : { graceMs: grace * 1_000 }),
    ...(deadline === undefined ? {} : { roundMs: deadline * 1_000 }),
    minimumCohort: defaults.minimumCohort(privacy, vehicles, options.minimum),
    aggregators:
      options.aggregators?.map((name) => organisationNamed(profile, name).mspId) ??
      defaults.defaultAggregators(profile),
    differentialPrivacy: {
      epsilon: options.epsilon ?? defaults.DEFAULT_EPSILON,
      deltaExponent: defaults.DELTA_EXPONENT,
      spentMicroRho: await chargedForStatistics(session, privacy, statistics),
    },
  };
  if (kind === 'statistics') {
    return statisticsTask(await summedFeatures(schema ?? ''), common);
  }
  const choice = choiceOf(kind, await featuresOf(kind, options), options);
  const rule = options.rule ?? defaultRule({ privacy, vehicles });
  insistOnValidating(rule, options.validatingVehicles);
  const validators = options.validators?.map((name) => organisationNamed(profile, name).mspId).sort();
  return learningTask(choice, {
    ...common,
    rounds: options.rounds ?? DEFAULT_ROUNDS,
    trainingRows: options.rows,
    judged: judgedBy(
      rule,
      validators ?? defaultValidators(profile),
      vehicles,
      options.validatingVehicles ?? defaultValidatingVehicles(vehicles),
    ),
  });
}

/** Nothing is trained for statistics, and a vehicle reports them once. @throws SevError USAGE. */
function insistOnOneRound({ kind, rounds = 1, engine, server, proximal }: CreateOptions): void {
  const isTrained = engine !== 'dense' || server !== undefined || proximal !== undefined;
  if (kind === 'statistics' && (rounds !== 1 || isTrained)) {
    throw new SevError('USAGE', 'A task of statistics has one round, and nothing is trained in it', {
      hint: 'Leave --rounds, --engine, --server and --proximal out.',
      exitCode: EXIT.usage,
    });
  }
}

function taskText(task: Task): string {
  const { model, cohort, deadlines, aggregation, privacy } = task;
  const note = task.kind === 'statistics' ? statisticsNote(privacy) : PRIVACY_NOTE[privacy];
  const classes = aggregation.weightClasses
    .map((c) => `from ${String(c.minSamples)} rows: ${String(c.weight)}`)
    .join(', ');
  return [
    `task ${task.taskId}: ${task.kind}, ${counted(task.plannedRounds, 'round')}, ${note}`,
    `features   ${task.features}`,
    `model      ${model.layers.join('-')}, ${String(model.parameters)} parameters, initial ${model.initialModelHash}`,
    ...(task.kind === 'statistics' ? [] : [trainingLine(task)]),
    `weights    ${aggregation.rule}, ${classes}`,
    `cohort     at least ${String(cohort.minimum)}, closes at once with ${String(cohort.target)}`,
    ...secureLines(task),
    ...rewardLines(task),
    ...heTaskLines(task),
    `deadlines  grace ${String(deadlines.graceMs / 1000)} s, round ${String(deadlines.roundMs / 1000)} s`,
  ].join('\n');
}

function trainingLine({ training }: Task): string {
  return `training   ${String(training.epochs)} epochs, batch ${String(training.batchSize)}, rate ${String(training.learningRateMicro / 1e6)}, seed ${String(training.seed)}`;
}

function rewardLines({ rewards }: Task): string[] {
  return rewards === undefined
    ? []
    : [
        `rewards    ${String(rewards.poolMicro / 1e6)} units a round at the most, each vehicle's own after ${String(rewards.vestingRounds)} more rounds`,
      ];
}

function drawnText(vehicles = 0): string {
  return vehicles === 0
    ? ''
    : `${counted(vehicles, 'vehicle')} of each round's cohort drawn to say the next base's loss on their own rows; `;
}

function secureLines({ secure }: Task): string[] {
  if (secure === undefined) {
    return [];
  }
  const {
    aggregators,
    threshold,
    clipMilli,
    fractionBits,
    ringBits = 32,
    projections,
    rule,
    openedShareMilli,
    metrics,
    validation,
    dp,
  } = secure;
  const opened =
    projections === 0
      ? 'nothing but sums'
      : `${String(projections)} random projections of each update a round, up to ${String(openedShareMilli / 10)} % of its dimension in all`;
  return [
    `aggregated ${aggregators.join(', ')}: no ${String(threshold)} of them learn an update, ${String(threshold + 1)} could`,
    `encoding   norm at most ${String(clipMilli / 1_000)}, ${String(fractionBits)} fraction bits of ${String(ringBits)}, weights by ${rule}`,
    ...(validation === undefined
      ? []
      : [
          `validated  by ${validation.validators.join(', ')}: they give a direction, one more number is opened of each update; ` +
            drawnText(validation.vehicles) +
            `vehicles compared over ${String(validation.pastRounds)} earlier rounds, in quarantine from a suspicion of ${String(validation.quarantineMilli / 1_000)}; ` +
            'rounds wait until most of their attesters run with --validation-data',
        ]),
    `opened     ${opened}${metrics.length === 0 ? '' : `; summed with the updates: ${metrics.join(', ')}`}`,
    ...(dp === undefined
      ? []
      : [
          `privacy    at most ε ${epsilonOf(dp.budgetMicroRho / 1e6, 10 ** -dp.deltaExponent).toFixed(2)} at δ 1e-${String(dp.deltaExponent)} for the whole task, ` +
            `one vehicle replaced by zeros; noise of deviation ${String(dp.noiseDeviation)} by each aggregator`,
        ]),
  ];
}
