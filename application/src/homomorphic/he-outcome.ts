// SPDX-License-Identifier: Apache-2.0
import { sha256Hex, type CohortRecord, type Proposal, type RoundRecord, type Task } from '@sev/chaincode/api';
import {
  decodeTotal,
  HeError,
  openHeSum,
  parametersFromBytes,
  parametersToBytes,
  slotsFromBytes,
  type Slots,
} from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import type { AttemptRef } from '../services/attempt.js';
import type { FetchObject, RoundOutcome } from '../services/round-outcome.js';
import { heFormatOf, heLengthOf, heSumTermsOf } from './he-task.js';

/** A round in state `aggregated` or `finalised`. */
export type HeSummedRound = AttemptRef & Pick<RoundRecord, 'baseModelHash' | 'he'>;

export interface HeOutcome {
  readonly proposal: Proposal;
  /** Of the model. */
  readonly bytes: Uint8Array;
  /** Weighted means of what vehicles reported, in the order of the task's metrics. */
  readonly metrics: Float32Array;
}

/**
 * The model of a round from its two openings, which the store holds under the hashes on the ledger. Coordinator, attesters and
 * auditor run this one function.
 *
 * T = (sum + masks) − masks modulo t, read as signed integers, is the exact weighted sum; with W the sum of the cohort's
 * class weights, model = base + T / (2^f · W), computed in double precision and rounded once to float32.
 *
 * @throws SevError MODE_NOT_HE, SUMS_UNKNOWN where none are committed, COHORT_MISMATCH, SUM_INVALID where the openings do not
 *   fit together; whatever `fetch` throws where the store lacks one.
 */
export async function heModel(
  task: Task,
  round: HeSummedRound,
  members: CohortRecord['members'],
  fetch: FetchObject,
): Promise<HeOutcome> {
  const { cohortHash, cohortSize, maskedHash, masksHash, opening } = round.he ?? {};
  if (!cohortHash || !cohortSize || !maskedHash || !masksHash || opening === undefined) {
    throw new SevError('SUMS_UNKNOWN', `no sum of attempt ${String(round.attempt)} is committed`);
  }
  if (members.length !== cohortSize) {
    throw new SevError(
      'COHORT_MISMATCH',
      `${String(members.length)} vehicles, not the ${String(cohortSize)} of the round`,
    );
  }
  const { parameters } = task.model;
  const length = heLengthOf(task);
  const [baseBytes, maskedBytes, masksBytes] = await Promise.all([
    fetch(round.baseModelHash),
    fetch(maskedHash),
    fetch(masksHash),
  ]);
  const base = parametersFromBytes(baseBytes, parameters);
  const terms = heSumTermsOf(task, opening.publicKeyHash);
  const total = opened(() => {
    const read = (bytes: Uint8Array): readonly Slots[] => slotsFromBytes(bytes, length);
    return openHeSum({ terms, masked: read(maskedBytes), masks: read(masksBytes) });
  });
  const format = heFormatOf(task);
  const weight = members.reduce((sum, { weightClass }) => sum + weightOf(task, weightClass), 0);
  const divisor = weight * 2 ** format.fractionBits;
  const bytes = parametersToBytes(base.map((value, index) => value + (total[index] ?? 0) / divisor));
  const { taskId, round: number, attempt, baseModelHash } = round;
  const proposal: Proposal = {
    ...{ taskId, round: number, attempt, baseModelHash },
    ...{ modelHash: sha256Hex(bytes), cohortHash, cohortSize, excluded: [] },
  };
  return { proposal, bytes, metrics: decodeTotal(total.subarray(parameters), weight, format) };
}

/** The same as `computeOutcome` gives it in plain mode. */
export async function computeHeOutcome(
  task: Task,
  round: HeSummedRound,
  members: CohortRecord['members'],
  fetch: FetchObject,
): Promise<RoundOutcome> {
  const { proposal, bytes } = await heModel(task, round, members, fetch);
  return { usable: members.length, excluded: [], model: { proposal, bytes } };
}

/** The public weight of a vehicle's class. */
export function weightOf(task: Task, weightClass: number): number {
  const found = task.aggregation.weightClasses[weightClass];
  if (found === undefined) {
    throw new RangeError(`the ledger recorded weight class ${String(weightClass)}, which the task does not have`);
  }
  return found.weight;
}

function opened(work: () => Float64Array): Float64Array {
  try {
    return work();
  } catch (error) {
    if (error instanceof HeError) {
      throw new SevError('SUM_INVALID', error.message, { exitCode: EXIT.integrity, cause: error });
    }
    throw error;
  }
}
