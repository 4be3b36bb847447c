// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  sha256Hex,
  type Exclusion,
  type Proposal,
  type RoundRecord,
  type Task,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { fedAvg, parametersFromBytes, parametersToBytes } from '@sev/fl';
import type { AttemptRef } from './attempt.js';
import { mapConcurrently } from './concurrency.js';
import { errorCode } from './log.js';

/** Objects fetched at a time while a cohort is read. */
const FETCHES_AT_A_TIME = 8;

/** Reads an object by its SHA-256; fails with OBJECT_MISSING or CONTENT_HASH_MISMATCH where the store lacks it. */
export type FetchObject = (hash: string) => Promise<Uint8Array>;

/** What a closed attempt comes to. */
export interface RoundOutcome {
  /** Updates that can be averaged. */
  readonly usable: number;
  readonly excluded: readonly Exclusion[];
  /** Present unless no update is usable. */
  readonly model?: RoundModel;
}

/** What a round proposes: the model's bytes, and where the task has an optimiser of the server those of its moments. */
export interface RoundModel {
  readonly proposal: Proposal;
  readonly bytes: Uint8Array;
  readonly serverState?: Uint8Array;
}

/**
 * Computes the outcome of a closed attempt from what the ledger recorded and the store holds. Coordinator and attesters
 * run this one function: updates sorted by vehicleId, unusable ones excluded by name, then federated averaging with the
 * task's public integer weights (McMahan et al. 2017, algorithm 1), so that every machine gets the same bytes.
 *
 * An object that the store does not hold under its hash is an exclusion; a store that does not answer is an error,
 * because excluding then would punish vehicles for an outage.
 */
export async function computeOutcome(
  task: Task,
  round: AttemptRef & Pick<RoundRecord, 'baseModelHash'>,
  updates: readonly UpdateRecord[],
  fetch: FetchObject,
): Promise<RoundOutcome> {
  const sorted = [...updates].sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  const length = task.model.parameters;
  const base = parametersFromBytes(await fetch(round.baseModelHash), length);
  const read = await mapConcurrently(sorted, FETCHES_AT_A_TIME, (update) => readUpdate(task, update, fetch));
  const excluded: Exclusion[] = [];
  const usable: { parameters: Float32Array; weight: number }[] = [];
  sorted.forEach((update, index) => {
    const outcome = read[index];
    if (outcome instanceof Float32Array) {
      usable.push({ parameters: outcome, weight: weightOf(task, update) });
    } else if (outcome !== undefined) {
      excluded.push({ vehicleId: update.vehicleId, reason: outcome });
    }
  });
  if (usable.length === 0) {
    return { usable: 0, excluded };
  }
  const bytes = parametersToBytes(fedAvg.aggregate(base, usable));
  const proposal: Proposal = {
    taskId: round.taskId,
    round: round.round,
    attempt: round.attempt,
    baseModelHash: round.baseModelHash,
    modelHash: sha256Hex(bytes),
    cohortHash: cohortHash(sorted),
    cohortSize: sorted.length,
    excluded,
  };
  return { usable: usable.length, excluded, model: { proposal, bytes } };
}

async function readUpdate(
  task: Task,
  update: UpdateRecord,
  fetch: FetchObject,
): Promise<Float32Array | Exclusion['reason']> {
  const length = task.model.parameters;
  let bytes: Uint8Array;
  try {
    bytes = await fetch(update.updateHash);
  } catch (error) {
    if (isAbsent(error)) {
      return 'UPDATE_MISSING';
    }
    throw error;
  }
  if (bytes.length !== 4 * length) {
    return 'UPDATE_LENGTH';
  }
  try {
    const parameters = parametersFromBytes(bytes, length);
    const { maxAbsolute } = task.aggregation;
    return parameters.every((value) => Math.abs(value) <= maxAbsolute) ? parameters : 'UPDATE_OUT_OF_RANGE';
  } catch (error) {
    if (errorCode(error) === 'MODEL_NOT_FINITE') {
      return 'UPDATE_NOT_FINITE';
    }
    throw error;
  }
}

/** True where the store answered that it has no bytes with this hash. */
export function isAbsent(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'OBJECT_MISSING' || code === 'CONTENT_HASH_MISMATCH';
}

function weightOf(task: Task, update: UpdateRecord): number {
  const weightClass = task.aggregation.weightClasses[update.weightClass];
  if (weightClass === undefined) {
    throw new RangeError(
      `The ledger recorded weight class ${String(update.weightClass)}, which the task does not have`,
    );
  }
  return weightClass.weight;
}
