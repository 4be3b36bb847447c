// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Task } from '@sev/chaincode/api';
import { readSchema, type FeatureSet, type Statistics } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import { learning, type LedgerSession } from '../ledger/index.js';
import type { Report } from '../report/report.js';
import { statisticsNote } from '../report/summary.js';
import { statisticsFileOf, statisticsRound, type StatisticsRound } from '../services/statistics.js';
import { pause } from '../services/wake-up.js';
import type { ObjectStore } from '../store/index.js';
import { openTable, splitOf } from '../vehicle/data.js';
import { statisticsOf, writeStatisticsFile, type StatisticsFile } from '../vehicle/statistics-file.js';
import { auditLedger, auditReport, openStoresToAudit, storeFolder } from './audit-ledger.js';
import { requireNetwork } from './network-ready.js';
import { dataPlan, type RunPlan } from './plan.js';
import { Programs } from './processes.js';
import { Sessions, interruption, preparePlan, startPrograms, type RunEvents } from './run.js';
import { AUDITOR_ORG, COORDINATOR_ORG, DEFAULT_EPSILON, DELTA_EXPONENT, defaultAggregators } from './secure-terms.js';
import { spentOnLedger } from './spent-privacy.js';
import { statisticsTask } from './statistics-task.js';

/** A plan whose data are statistics of a table. */
export interface StatisticsPlan extends RunPlan {
  readonly data: Extract<RunPlan['data'], { kind: 'statistics' }>;
}

export interface StatisticsOptions {
  readonly plan: StatisticsPlan;
  /** Folder of the homes of all programs. */
  readonly homes: string;
  /** File that the statistics are written to. */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly events: Pick<RunEvents, 'onStep' | 'onEnrolled' | 'onAudit' | 'onLog'>;
}

export interface StatisticsOutcome {
  readonly file: StatisticsFile;
  readonly statistics: Statistics;
  /** In mode dp: what was spent. */
  readonly privacy?: Report['privacy'];
  readonly audit: Report['audit'];
}

/** How often the ledger is asked whether the round is final. */
const LOOK_MS = 250;

/**
 * Statistics of a table over vehicles: vehicles, task, one round, audit. A broken-off run of the same task is gone on with.
 *
 * @throws SevError INTERRUPTED after Ctrl-C, once all programs have ended; DataError STATISTICS_IMPLAUSIBLE.
 */
export async function runStatistics(options: StatisticsOptions): Promise<StatisticsOutcome> {
  const { homes, signal, events } = options;
  const profile = await requireNetwork();
  const schema = await readSchema(options.plan.data.schema);
  const features = await checkedFeatures(options.plan);
  const programs = new Programs(events.onLog);
  const sessions = new Sessions(profile, homes);
  const again = `the same command with --task-id ${options.plan.taskId}`;
  const interrupted = interruption(signal, again);
  try {
    const { taskId, vehicles, seed, minimumCohort, privacy: mode, epsilon = DEFAULT_EPSILON } = options.plan;
    const prepared = statisticsTask(features, {
      ...{ taskId, vehicles, seed, minimumCohort, privacy: mode },
      aggregators: defaultAggregators(profile),
      differentialPrivacy: { epsilon, deltaExponent: DELTA_EXPONENT },
    });
    const { task } = prepared;
    events.onStep(`task ${taskId} · ${statisticsNote(mode)}`);
    const plan = await Promise.race([preparePlan(options), interrupted]);
    const operator = await sessions.open(COORDINATOR_ORG, 'operator');
    const round = async (): Promise<StatisticsFile> => {
      const { objects } = await startPrograms({ ...options, plan, profile, programs, operator }, prepared);
      return statisticsFileOf(task, await finalRound(operator, task, signal), objects);
    };
    const file = await Promise.race([round(), programs.watch(), interrupted]);
    await programs.stop();
    const statistics = statisticsOf(schema, file);
    const privacy = await spentOnLedger(operator, task);
    events.onStep('audit');
    const audit = await Promise.race([auditOf(options, await sessions.open(AUDITOR_ORG, 'auditor')), interrupted]);
    await mkdir(dirname(options.out), { recursive: true });
    await writeStatisticsFile(options.out, file);
    return { file, statistics, ...(privacy && { privacy }), audit };
  } finally {
    await programs.stop();
    sessions.close();
  }
}

/**
 * Writes the statistics of a finished task from the ledger and a store.
 *
 * @throws SevError STATISTICS_NOT_ON_LEDGER where the task is none of statistics, or not finished; STATISTICS_FOREIGN.
 */
export async function readStatisticsOf(
  session: LedgerSession,
  taskId: string,
  { schema, store, out }: { readonly schema: string; readonly store: ObjectStore; readonly out: string },
): Promise<Pick<StatisticsOutcome, 'file' | 'statistics'>> {
  const declared = await readSchema(schema);
  const contract = learning(session);
  const { task } = await contract.task(taskId);
  const round = task.kind === 'statistics' ? await statisticsRound(contract, task) : undefined;
  if (round === undefined) {
    throw new SevError('STATISTICS_NOT_ON_LEDGER', `task ${taskId} has no statistics on the ledger`, {
      hint: 'Name a finished task of kind statistics; `sev task list` shows them.',
      exitCode: EXIT.refused,
    });
  }
  const file = await statisticsFileOf(task, round, store);
  const statistics = statisticsOf(declared, file);
  await mkdir(dirname(out), { recursive: true });
  await writeStatisticsFile(out, file);
  return { file, statistics };
}

/** Reads the data before anything is started: a wrong file, schema or split costs nothing. */
async function checkedFeatures(plan: StatisticsPlan): Promise<FeatureSet> {
  const table = await openTable(plan.data);
  splitOf(table, dataPlan(plan));
  return table.features;
}

async function finalRound(session: LedgerSession, task: Task, signal: AbortSignal): Promise<StatisticsRound> {
  const contract = learning(session);
  for (;;) {
    const round = await statisticsRound(contract, task);
    if (round !== undefined) {
      return round;
    }
    signal.throwIfAborted();
    await pause(LOOK_MS, signal);
  }
}

async function auditOf({ plan, homes, events }: StatisticsOptions, session: LedgerSession): Promise<Report['audit']> {
  const result = await auditLedger({
    session,
    store: await openStoresToAudit([storeFolder(homes)]),
    storeTaskId: plan.taskId,
    onProgress: ({ stage, done, total }) => {
      events.onAudit(done, total, stage);
    },
  });
  return auditReport(result);
}
