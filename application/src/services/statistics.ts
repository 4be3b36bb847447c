// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { sha256Hex, type PrivacyMode, type RoundRecord, type Task } from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { heTermsOf } from '../homomorphic/he-task.js';
import type { ObjectStore } from '../store/object-store.js';
import type { StatisticsFile } from '../vehicle/statistics-file.js';
import { attemptOf } from './attempt.js';
import { latestRound, roundIfAny, taskIfAny, type LearningContract } from './rounds.js';
import { secureTermsOf } from './secure-scores.js';

/** Statistics are made in one round. */
const ROUND = 1;
/** Of rounding at random to a whole number, at the most. */
const ROUNDING_DEVIATION = 0.5;
/** Of float32 between −1 and 1. */
const FLOAT_DEVIATION = 2 ** -24;

/** What a finalised round of statistics is the mean of. */
export interface StatisticsRound {
  readonly modelHash: string;
  readonly vehicles: number;
  /** Standard deviation of each number of the model, by rounding and noise. */
  readonly deviation: number;
}

/** @returns undefined as long as the round is not final. */
export async function statisticsRound(learning: LearningContract, task: Task): Promise<StatisticsRound | undefined> {
  const record = await roundIfAny(learning, { taskId: task.taskId, round: ROUND });
  const { proposal } = record ?? {};
  if (record?.state !== 'finalised' || proposal === undefined) {
    return undefined;
  }
  const vehicles = await countedVehicles(learning, task, record, proposal.cohortSize - proposal.excluded.length);
  return { modelHash: proposal.modelHash, vehicles, deviation: deviationOf(task, record, vehicles) };
}

/**
 * What tasks that are scaled by the statistics take.
 *
 * @throws SevError CONTENT_HASH_MISMATCH where the store gives another model; whatever it throws where it lacks it.
 */
export async function statisticsFileOf(
  task: Task,
  round: StatisticsRound,
  store: Pick<ObjectStore, 'get'>,
): Promise<StatisticsFile> {
  const { taskId, privacy, features } = task;
  const bytes = await store.get(round.modelHash);
  const actual = sha256Hex(bytes);
  if (actual !== round.modelHash) {
    throw new SevError('CONTENT_HASH_MISMATCH', `the store gave bytes of ${actual} for model ${round.modelHash}`, {
      exitCode: EXIT.integrity,
    });
  }
  const model = Buffer.from(bytes).toString('base64');
  return { schemaVersion: 1, taskId, privacy, features, model, ...round };
}

/** Vehicles that count in the round's sum; all of them alike. */
async function countedVehicles(
  learning: LearningContract,
  task: Task,
  record: RoundRecord,
  usable: number,
): Promise<number> {
  if (task.secure === undefined) {
    return usable;
  }
  const { scores } = await learning.scores(attemptOf(record));
  return scores.weights.filter((weight) => weight > 0).length;
}

function deviationOf(task: Task, { secure }: RoundRecord, vehicles: number): number {
  if (task.privacy === 'plain') {
    return FLOAT_DEVIATION;
  }
  const { fractionBits } = task.he === undefined ? secureTermsOf(task) : heTermsOf(task);
  const noises = secure?.opening.aggregators.length ?? 0;
  const noise = task.secure?.dp?.noiseDeviation ?? 0;
  const ofSum = Math.sqrt(vehicles * ROUNDING_DEVIATION ** 2 + noises * noise ** 2);
  return ofSum / vehicles / 2 ** fractionBits + FLOAT_DEVIATION;
}

/**
 * Makes sure that statistics are those that a majority made official.
 *
 * @returns the task that made them.
 * @throws SevError STATISTICS_NOT_ON_LEDGER.
 */
async function insistOnStatistics(learning: LearningContract, file: StatisticsFile): Promise<Task> {
  const task = await taskIfAny(learning, file.taskId);
  const found = task?.kind === 'statistics' ? await statisticsRound(learning, task) : undefined;
  const { modelHash, vehicles, deviation, features, privacy, taskId } = file;
  if (
    task === undefined ||
    found?.modelHash !== modelHash ||
    found.vehicles !== vehicles ||
    found.deviation !== deviation ||
    task.features !== features ||
    task.privacy !== privacy
  ) {
    throw new SevError(
      'STATISTICS_NOT_ON_LEDGER',
      `the ledger holds no such statistics ${modelHash} of task ${taskId}`,
      {
        hint: 'Do not train with them: whoever offers them has not had them attested. Make others with `sev statistics run`.',
        exitCode: EXIT.refused,
      },
    );
  }
  return task;
}

/** What statistics have cost the vehicles that a task is scaled for. */
export interface StatisticsSpent {
  readonly taskId: string;
  readonly privacy: PrivacyMode;
  /** Millionths of ρ that the ledger has charged, aborted attempts too. */
  readonly chargedMicroRho: number;
}

/** @throws SevError STATISTICS_NOT_ON_LEDGER. */
export async function spentOnStatistics(learning: LearningContract, file: StatisticsFile): Promise<StatisticsSpent> {
  const { taskId, privacy } = await insistOnStatistics(learning, file);
  const chargedMicroRho = (await latestRound(learning, taskId))?.secure?.chargedMicroRho ?? 0;
  return { taskId, privacy, chargedMicroRho };
}

/** @returns STATISTICS_WITHOUT_NOISE where a task of this mode would promise what its statistics have not kept. */
export function noiseProblem(privacy: PrivacyMode, statistics: StatisticsSpent | undefined): SevError | undefined {
  return privacy !== 'dp' || statistics === undefined || statistics.privacy === 'dp'
    ? undefined
    : new SevError('STATISTICS_WITHOUT_NOISE', `the statistics of task ${statistics.taskId} carry no noise`, {
        hint: 'A task of mode dp promises nothing beside them: make others with `sev statistics run --privacy dp`.',
        exitCode: EXIT.usage,
      });
}
