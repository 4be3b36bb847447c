// SPDX-License-Identifier: Apache-2.0
import { join, resolve } from 'node:path';
import { heParties, type PrivacyMode, type Task } from '@sev/chaincode/api';
import {
  DEFAULT_MODEL_BOUNDS,
  checkModel,
  chooseEngine,
  parametersFromBytes,
  type Dataset,
  type LearningSplit,
  type LearningTable,
} from '@sev/fl';
import { inHome, type ConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import { openWallet } from '../identity/index.js';
import { learning, openSession, type LedgerSession } from '../ledger/index.js';
import { counted } from '../report/plural.js';
import { median, PRIVACY_NOTE } from '../report/summary.js';
import { readCost, type RoundCost } from '../vehicle/round-cost.js';
import type { Report, RoundReport } from '../report/report.js';
import { writeReport } from '../report/write-report.js';
import { modelSpecOf } from '../services/model-spec.js';
import { HttpStore } from '../store/index.js';
import { noiseProblem, spentOnStatistics } from '../services/statistics.js';
import { openTable, splitOf, type DataSource, type LearningKind } from '../vehicle/data.js';
import { readStatisticsFile } from '../vehicle/statistics-file.js';
import { auditLedger, auditReport, openStoresToAudit, storeFolder } from './audit-ledger.js';
import { taskIfAny } from '../services/rounds.js';
import { reconcile } from './audited-rounds.js';
import { computeBaselines, type Comparison } from './baselines.js';
import { attesterAttackArguments, hostileOf, insistOnValidators, vehicleAttackArguments } from './exercise.js';
import { enrollFleet } from './fleet.js';
import { requireNetwork } from './network-ready.js';
import { dataPlan, savePlan, type RunPlan } from './plan.js';
import { choiceOf, learningTask, modelOf, type PreparedTask } from './learning-task.js';
import { Programs } from './processes.js';
import { followRounds, hasStalled } from './rounds.js';
import { AUDITOR_ORG, COORDINATOR_ORG, DEFAULT_EPSILON, DELTA_EXPONENT, defaultAggregators } from './secure-terms.js';
import { spentOnLedger } from './spent-privacy.js';
import {
  defaultValidators,
  judgedBy,
  shareValidationData,
  validationPath,
  validationRowsOf,
} from './validation-plan.js';

/** The organisation that enrols. */
const REGISTRAR_ORG = 'maker';

export interface RunOptions {
  /** What to do; `vehicleIds` is filled in where it is empty. */
  readonly plan: RunPlan;
  /** Round after which this run ends, though the task plans more; a resumption goes on from there. */
  readonly until?: number | undefined;
  /** Folder of the homes of all programs. */
  readonly homes: string;
  /** Folder of the runs' reports. */
  readonly runs: string;
  /** False: nothing is compared with training in one place or alone, which may take longer than the rounds. */
  readonly baselines: boolean;
  readonly signal: AbortSignal;
  readonly events: RunEvents;
}

/** What a run tells while it goes on. */
export interface RunEvents {
  readonly onStep: (text: string) => void;
  readonly onEnrolled: (done: number, total: number) => void;
  /** Told before anything is started where vehicles attack on purpose. */
  readonly onHostile: (hostile: NonNullable<Report['hostile']>) => void;
  readonly onRound: (round: RoundReport, rounds: number) => void;
  readonly onAudit: (done: number, total: number | undefined, stage: string) => void;
  /** A line that a program logged. */
  readonly onLog: (program: string, line: string) => void;
}

export interface RunOutcome {
  readonly report: Report;
  readonly folder: string;
}

/** Data of a run, read before anything is started: a wrong file or split costs nothing. */
interface RunData {
  /** Without its rows, which would stay in memory as long as the run takes. */
  readonly table: Pick<LearningTable, 'source' | 'rows' | 'features' | 'target'>;
  readonly test: LearningSplit['test'];
  readonly trainingRows: number;
  /** What validators validate on, together. */
  readonly validation: Dataset | undefined;
}

/**
 * The main job: vehicles, task, programs, rounds, baselines, audit, report. Every step finds what an earlier, broken-off
 * run of the same task left behind and goes on from there; the ledger decides.
 *
 * @throws SevError INTERRUPTED after Ctrl-C, once all programs have ended.
 */
export async function runRounds(options: RunOptions): Promise<RunOutcome> {
  const startedAt = performance.now();
  const profile = await requireNetwork();
  const { plan: asked, ...data } = await readData(options.plan, profile);
  const programs = new Programs(options.events.onLog);
  const sessions = new Sessions(profile, options.homes);
  const interrupted = interruption(options.signal, `sev round run --resume ${options.plan.taskId}`);
  try {
    const organisations = profile.organisations.map((o) => o.name);
    const operator = await sessions.open(COORDINATOR_ORG, 'operator');
    const prepared = await preparedTask(asked, data, profile, operator);
    insistOnValidators(hostileOf(asked, organisations), prepared.task);
    // All that was asked for has been checked as far as it can be without the vehicles.
    options.events.onStep(`task ${asked.taskId} · ${PRIVACY_NOTE[asked.privacy]}`);
    const plan = await Promise.race([preparePlan({ ...options, plan: asked }), interrupted]);
    const hostile = hostileOf(plan, organisations);
    if (hostile !== undefined) {
      options.events.onHostile(hostile);
    }
    const training = { options, plan, data, profile, programs, operator, hostile, prepared };
    const trained = await Promise.race([train(training), interrupted]);
    await programs.stop();
    const auditor = await sessions.open(AUDITOR_ORG, 'auditor');
    const concluded = await Promise.race([conclude(options, plan, trained, auditor), interrupted]);
    const { kind, trust } = profile.network;
    const report: Report = {
      schemaVersion: 1,
      createdAt: new Date().toISOString(),
      network: { kind, trust, organisations, height: Number(await auditor.height()) },
      task: plan.kind,
      unit: data.table.target.unit,
      taskId: plan.taskId,
      data: { source: data.table.source, rows: data.table.rows, testRows: data.test.rows },
      split: plan.split,
      seed: plan.seed,
      vehicles: plan.vehicles,
      aggregation: plan.privacy,
      ...(hostile === undefined ? {} : { hostile }),
      ...trained.privacy,
      rounds: concluded.rounds,
      ...concluded.comparison,
      vehicle: trained.vehicle,
      audit: concluded.audit,
      ms: {
        setUp: Math.round(trained.startedAt - startedAt),
        rounds: Math.round(trained.endedAt - trained.startedAt),
        baselines: concluded.baselinesMs,
        audit: concluded.auditMs,
        total: Math.round(performance.now() - startedAt),
      },
    };
    return { report, folder: await writeReport(options.runs, new Date(plan.startedAt), report) };
  } finally {
    await programs.stop();
    sessions.close();
  }
}

/** Settles beside it how many rows are the validators'. */
async function readData(asked: RunPlan, profile: ConnectionProfile): Promise<RunData & { readonly plan: RunPlan }> {
  const table = await openTable(asked.data);
  const validationRows = asked.validationRows ?? validationRowsOf(asked, table.rows, defaultValidators(profile).length);
  const plan = validationRows === undefined ? asked : { ...asked, validationRows };
  const { clients, test, validation } = splitOf(table, dataPlan(plan));
  checkModel(modelSpecOf(modelOf(choiceOf(learningKindOf(plan), table.features, plan))), DEFAULT_MODEL_BOUNDS);
  const trainingRows = clients.reduce((sum, { rows: count }) => sum + count, 0);
  const { source, rows, features, target } = table;
  return { plan, table: { source, rows, features, target }, test, trainingRows, validation };
}

/** What the steps that all runs have in common need. */
export interface Preparation {
  readonly plan: RunPlan;
  readonly homes: string;
  readonly events: Pick<RunEvents, 'onStep' | 'onEnrolled'>;
}

/** Settles which vehicles take part, enrolling those that are missing, and keeps the plan for a resumption. */
export async function preparePlan({ plan, homes, events }: Preparation): Promise<RunPlan> {
  if (plan.vehicleIds.length > 0) {
    return plan;
  }
  await savePlan(homes, plan); // An interrupted enrollment is resumed like everything else.
  events.onStep(`enrolling ${counted(plan.vehicles, 'vehicle')}`);
  const fleet = await enrollFleet({
    org: REGISTRAR_ORG,
    homes,
    home: fleetHome(homes),
    count: plan.vehicles,
    onProgress: events.onEnrolled,
  });
  events.onStep(`${counted(fleet.enrolled, 'vehicle')} enrolled, ${String(fleet.reused)} used again`);
  const complete = { ...plan, vehicleIds: [...fleet.vehicles] };
  await savePlan(homes, complete);
  return complete;
}

interface Training {
  readonly options: RunOptions;
  readonly plan: RunPlan;
  readonly data: RunData;
  readonly profile: ConnectionProfile;
  readonly programs: Programs;
  readonly operator: LedgerSession;
  readonly hostile: Report['hostile'];
  readonly prepared: PreparedTask;
}

interface Trained {
  readonly task: Task;
  readonly vehicle: Report['vehicle'];
  readonly rounds: RoundReport[];
  /** In mode dp: what was spent. */
  readonly privacy: Pick<Report, 'privacy'> | undefined;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** The task of a run. It has nothing of the vehicles but their number. */
async function preparedTask(
  plan: RunPlan,
  data: RunData,
  profile: ConnectionProfile,
  operator: LedgerSession,
): Promise<PreparedTask> {
  const { privacy: mode, data: source } = plan;
  const statistics = source.kind === 'table' ? source.statistics : undefined;
  const spentMicroRho = await chargedForStatistics(operator, mode, statistics);
  const before = await taskIfAny(learning(operator), plan.taskId);
  const prepared = learningTask(choiceOf(learningKindOf(plan), data.table.features, plan), {
    taskId: plan.taskId,
    vehicles: plan.vehicles,
    rounds: plan.rounds,
    seed: plan.seed,
    trainingRows: data.trainingRows,
    minimumCohort: plan.minimumCohort,
    privacy: plan.privacy,
    aggregators: defaultAggregators(profile),
    ...(plan.ringBits === undefined ? {} : { ringBits: plan.ringBits }),
    judged: judgedBy(plan.rule, defaultValidators(profile), plan.vehicles, plan.validatingVehicles ?? 0),
    differentialPrivacy: { epsilon: plan.epsilon ?? DEFAULT_EPSILON, deltaExponent: DELTA_EXPONENT, spentMicroRho },
  });
  return before === undefined ? prepared : { ...prepared, task: withTermsOf(before, prepared.task) };
}

/** A run that is resumed keeps the deadlines and the threshold of its task, be they of an earlier version's defaults. */
function withTermsOf({ deadlines, secure: before }: Task, task: Task): Task {
  const { secure } = task;
  if (secure?.validation === undefined || before?.validation === undefined) {
    return { ...task, deadlines };
  }
  const { quarantineMilli } = before.validation;
  return { ...task, deadlines, secure: { ...secure, validation: { ...secure.validation, quarantineMilli } } };
}

/** Starts the programs, creates the task where it is not there yet, and sees the rounds through. */
async function train(training: Training): Promise<Trained> {
  const { options, plan, data, profile, programs, operator, hostile, prepared } = training;
  const { homes, events, signal } = options;
  const { task } = prepared;
  if (task.engine === 'tfjs') {
    const { engine, reason } = await chooseEngine(task.engine);
    events.onStep(`engine ${engine}: ${reason}`);
  }
  const validating = await shareValidationData(homes, task, profile, data.validation);
  const rounds = lastRound(plan, options.until);
  const starting = { plan, homes, events, profile, programs, operator, validating, rounds, hostile };
  const { objects, startedAt } = await startPrograms(starting, prepared);
  const followed = followRounds({
    session: operator,
    store: objects,
    task,
    rounds,
    coordinatorHome: join(homes, COORDINATOR_ORG),
    test: data.test,
    target: data.table.target,
    patience: plan.patience,
    signal,
    onRound: (round) => {
      events.onRound(round, plan.rounds);
    },
  });
  const reports = await Promise.race([followed, programs.watch()]);
  const endedAt = performance.now();
  if (hasStalled(reports, plan.patience)) {
    // A resumed run drives no more rounds of it.
    await savePlan(homes, { ...plan, endedAfter: reports.length });
  }
  await programs.stop();
  const privacy = await spentOnLedger(operator, task);
  const vehicle = await vehicleCost(fleetHome(homes), task.taskId, reports.length);
  return { task, rounds: reports, privacy: privacy && { privacy }, vehicle, startedAt, endedAt };
}

/** What is left of the plan is driven up to here. */
function lastRound({ rounds, endedAfter = rounds }: RunPlan, until = endedAfter): number {
  return Math.min(until, endedAfter);
}

/** Medians over the rounds that the vehicles' program has left the cost of. */
async function vehicleCost(home: string, taskId: string, rounds: number): Promise<Report['vehicle']> {
  const numbers = Array.from({ length: rounds }, (_, index) => index + 1);
  const costs = (await Promise.all(numbers.map((round) => readCost(home, { taskId, round })))).flatMap((c) => c ?? []);
  if (costs.length === 0) {
    return undefined;
  }
  const middle = (of: (cost: RoundCost) => number): number => median(costs.map(of));
  return {
    cpuMs: middle(({ cpuMs }) => cpuMs),
    peakMemoryMb: Math.max(...costs.map(({ peakMemoryMb }) => peakMemoryMb)),
    bytesUp: Math.round(middle(({ bytesUp }) => bytesUp)),
    bytesDown: Math.round(middle(({ bytesDown }) => bytesDown)),
  };
}

/** Millionths of ρ that the statistics which a run is scaled by were charged. @throws SevError STATISTICS_WITHOUT_NOISE. */
export async function chargedForStatistics(
  session: LedgerSession,
  privacy: PrivacyMode,
  statistics: string | undefined,
): Promise<number> {
  if (statistics === undefined) {
    return 0;
  }
  const spent = await spentOnStatistics(learning(session), await readStatisticsFile(statistics));
  const problem = noiseProblem(privacy, spent);
  if (problem !== undefined) {
    throw problem;
  }
  return spent.chargedMicroRho;
}

function learningKindOf({ kind, taskId }: RunPlan): LearningKind {
  if (kind === 'statistics') {
    throw new SevError('USAGE', `${taskId} is a task of statistics`, {
      hint: `Go on with: sev statistics run --task-id ${taskId}, with the same options.`,
      exitCode: EXIT.usage,
    });
  }
  return kind;
}

interface Starting extends Preparation {
  readonly profile: ConnectionProfile;
  readonly programs: Programs;
  readonly operator: LedgerSession;
  /** Round after which the coordinator ends; default: the last that the task plans. */
  readonly rounds?: number;
  /** Names of the organisations that have validation data of this task in their homes. */
  readonly validating?: ReadonlySet<string>;
  /** Who attacks on purpose. */
  readonly hostile?: Report['hostile'];
}

/**
 * Creates the task where it is not there yet and starts everything that takes part in it, the coordinator last.
 *
 * @returns the store, and when the coordinator was started.
 */
export async function startPrograms(
  starting: Starting,
  { task, initialModel }: PreparedTask,
): Promise<{ objects: HttpStore; startedAt: number }> {
  const { plan, homes, events, profile, programs, operator, hostile } = starting;
  const { rounds: last = plan.rounds, validating = new Set() } = starting;
  const { taskId } = plan;
  events.onStep(`starting store, attesters, ${task.privacy === 'plain' ? '' : 'aggregators, '}batcher, vehicles`);
  const store = await programs.start('store', ['store', 'run', '--home', join(homes, 'store')]);
  const others = profile.organisations.filter((o) => o.name !== COORDINATOR_ORG);
  const validation = (name: string): string[] =>
    validating.has(name)
      ? ['--validation-data', validationPath(homes, name, taskId), ...attesterAttackArguments(hostile, plan, name)]
      : [];
  const objects = new HttpStore(store.url);
  const [aggregatorArgs] = await Promise.all([
    startAggregators({ task, homes, profile, programs }, store.url),
    objects.put(initialModel).then(() => learning(operator).createTask(task)),
  ]);
  const attesters = await Promise.all(
    others.map(async ({ name }) => {
      const args = ['attester', 'run', '--org', name, '--home', join(homes, name), '--store', store.url];
      // Whoever measures corrections has disputed updates opened to it.
      const measuring = validating.has(name) ? [...validation(name), ...aggregatorArgs] : [];
      return { name, url: (await programs.start(`attester of ${name}`, [...args, ...measuring])).url };
    }),
  );
  const arbiter = attesters.find(({ name }) => name === AUDITOR_ORG);
  const arbiterArgs =
    task.secure === undefined || arbiter === undefined ? [] : ['--arbiter', `${arbiter.name}=${arbiter.url}`];
  const coordinatorHome = join(homes, COORDINATOR_ORG);
  const attesterArgs = attesters.flatMap(({ name, url }) => ['--attester', `${name}=${url}`]);
  const batchers = await startBatchers(programs, plan, homes, profile);
  // The vehicles are ready before the first round opens, so that it is as long as the others.
  await programs.start('vehicles', [...vehicleArgs(starting, store.url), ...batchers, ...aggregatorArgs]);
  const startedAt = performance.now();
  const common = ['--org', COORDINATOR_ORG, '--home', coordinatorHome, '--store', store.url];
  const rounds = ['--task', taskId, '--rounds', String(last)];
  await programs.start('coordinator', [
    ...['coordinator', 'run', ...common, ...rounds, ...attesterArgs],
    ...[...aggregatorArgs, ...arbiterArgs, ...validation(COORDINATOR_ORG)],
  ]);
  return { objects, startedAt };
}

/** The aggregators of a task. @returns how others are told of them */
async function startAggregators(
  { task, homes, profile, programs }: Pick<Starting, 'homes' | 'profile' | 'programs'> & { readonly task: Task },
  storeUrl: string,
): Promise<string[]> {
  const needed = task.he === undefined ? (task.secure?.aggregators ?? []) : heParties(task.he);
  const args = await Promise.all(
    profile.organisations
      .filter(({ mspId }) => needed.includes(mspId))
      .map(async ({ name }) => {
        const own = ['--org', name, '--home', join(homes, name), '--store', storeUrl];
        const { url } = await programs.start(`aggregator of ${name}`, ['aggregator', 'run', ...own]);
        return ['--aggregator', `${name}=${url}`];
      }),
  );
  return args.flat();
}

/** One batcher for each organisation that has vehicles in the run. @returns how the vehicles are told of them */
async function startBatchers(
  programs: Programs,
  { vehicleIds }: RunPlan,
  homes: string,
  { organisations }: ConnectionProfile,
): Promise<string[]> {
  const wallet = await openWallet(inHome.wallet(fleetHome(homes)));
  const enrolledBy = new Set((await Promise.all(vehicleIds.map((id) => wallet.get(id)))).map(({ mspId }) => mspId));
  const args = await Promise.all(
    organisations
      .filter(({ mspId }) => enrolledBy.has(mspId))
      .map(async ({ name }) => {
        const home = ['--org', name, '--home', join(homes, name)];
        const { url } = await programs.start(`batcher of ${name}`, ['batcher', 'run', ...home]);
        return ['--batcher', `${name}=${url}`];
      }),
  );
  return args.flat();
}

function vehicleArgs({ plan, homes, hostile }: Starting, storeUrl: string): string[] {
  const source = dataArguments(plan.data);
  const kept = plan.validationRows === undefined ? [] : ['--validation-rows', String(plan.validationRows)];
  const split = ['--split', plan.split, '--client', `0/${String(plan.vehicles)}`, ...kept];
  const peers = ['--store', storeUrl, '--task', plan.taskId, ...agreedTo(plan)];
  const vehicles = plan.vehicleIds.flatMap((id) => ['--vehicle', id]);
  const what = [...source, ...split, ...vehicles, ...vehicleAttackArguments(hostile, plan)];
  return ['vehicle', 'run', '--pool', '--home', fleetHome(homes), ...peers, ...what];
}

/** Whoever starts a run has agreed to what its vehicles give. */
function agreedTo({ privacy, epsilon }: RunPlan): string[] {
  return [
    ...(privacy === 'plain' || privacy === 'he' ? [`--${privacy}`] : []),
    ...(epsilon === undefined ? [] : ['--max-epsilon', String(epsilon)]),
  ];
}

/** How `sev vehicle run` is told where the data are. */
function dataArguments(data: DataSource): string[] {
  const kind = data.kind ?? 'price';
  const what = [
    ...['--kind', kind],
    ...(data.kind === 'demand' ? ['--form', data.form] : []),
    ...(data.kind === 'table' || data.kind === 'statistics' ? ['--schema', resolve(data.schema)] : []),
    ...(data.kind === 'table' && data.statistics !== undefined ? ['--statistics', resolve(data.statistics)] : []),
  ];
  return data.source === 'file'
    ? [...what, '--data', resolve(data.path)]
    : [...what, '--generate', String(data.rows), '--data-seed', String(data.seed)];
}

interface Concluded {
  readonly rounds: RoundReport[];
  readonly comparison: Comparison | undefined;
  readonly baselinesMs: number;
  readonly audit: Report['audit'];
  readonly auditMs: number;
}

/** After the rounds: the baselines in a worker thread, the audit beside them. */
async function conclude(
  options: RunOptions,
  plan: RunPlan,
  trained: Trained,
  session: LedgerSession,
): Promise<Concluded> {
  const { events, homes } = options;
  events.onStep(options.baselines ? 'baselines and audit' : 'audit');
  const store = await openStoresToAudit([storeFolder(homes)]);
  const { task, rounds } = trained;
  const last = rounds.at(-1)?.modelHash ?? task.model.initialModelHash;
  const model = parametersFromBytes(await store.get(last), task.model.parameters);
  const request = { plan: dataPlan(plan), task, rounds: rounds.length, model };
  const [baselines, audit] = await Promise.all([
    timed(() => (options.baselines ? computeBaselines(request) : Promise.resolve(undefined))),
    timed(() =>
      auditLedger({
        session,
        store,
        // Objects of other tasks may lie in other stores, and were audited when their runs ended.
        storeTaskId: plan.taskId,
        onProgress: ({ stage, done, total }) => {
          events.onAudit(done, total, stage);
        },
      }),
    ),
  ]);
  const checked = reconcile(plan.taskId, trained.rounds, audit.result);
  return {
    rounds: checked.rounds,
    comparison: baselines.result,
    baselinesMs: baselines.ms,
    audit: auditReport(checked.audit),
    auditMs: audit.ms,
  };
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: Math.round(performance.now() - started) };
}

function fleetHome(homes: string): string {
  return join(homes, 'fleet');
}

/** Rejects when the run is interrupted; never resolves. */
export function interruption(signal: AbortSignal, again: string): Promise<never> {
  const interrupted = new Promise<never>((_resolve, reject) => {
    const stop = (): void => {
      reject(
        new SevError('INTERRUPTED', 'The run was interrupted; what is recorded stays on the ledger', {
          hint: `Go on with: ${again}`,
        }),
      );
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) {
      stop();
    }
  });
  // Whoever does not race against it any more need not handle it.
  interrupted.catch(() => undefined);
  return interrupted;
}

/** Sessions of the organisations' staff, closed together. */
export class Sessions {
  readonly #open: LedgerSession[] = [];

  constructor(
    readonly profile: ConnectionProfile,
    readonly homes: string,
  ) {}

  async open(organisation: string, label: string): Promise<LedgerSession> {
    const wallet = await openWallet(inHome.wallet(join(this.homes, organisation)));
    const session = await openSession({ profile: this.profile, identity: await wallet.get(label) });
    this.#open.push(session);
    return session;
  }

  close(): void {
    for (const session of this.#open) {
      session.close();
    }
  }
}
