// SPDX-License-Identifier: Apache-2.0
import {
  ringBitsOfTerms,
  sha256Hex,
  type Proposal,
  type RoundRecord,
  type Scores,
  type Task,
} from '@sev/chaincode/api';
import {
  checkTotal,
  decodeTotal,
  parametersFromBytes,
  parametersToBytes,
  ringFromBytes,
  SecureError,
  totalOf,
  type RingBits,
} from '@sev/fl';
import { SevError } from '../errors.js';
import { mapConcurrently } from './concurrency.js';
import type { FetchObject, RoundOutcome } from './round-outcome.js';
import type { LearningContract } from './rounds.js';
import { formatOf, secureTermsOf } from './secure-scores.js';
import { attemptOf } from './attempt.js';

/** Component sums fetched at a time. */
const FETCHES_AT_A_TIME = 8;

/** What the committed sums of a secure round come to. */
export interface SecureOutcome {
  readonly proposal: Proposal;
  /** The model: little-endian float32, length 4·d. */
  readonly bytes: Uint8Array;
  /** Weighted means over the cohort, in the order of the task's `secure.metrics`; in mode `dp` with noise. */
  readonly metrics: Float32Array;
}

/** The fields of a round's record that its model follows from. */
export type SummedRound = Pick<RoundRecord, 'taskId' | 'round' | 'attempt' | 'baseModelHash' | 'secure'>;

/**
 * Computes the model of a secure round from its base model and the component sums whose hashes the ledger holds.
 * Coordinator, attesters and auditor run this one function.
 *
 * For each shard total = Σ components in the task's ring, read as two's complement; the shards' totals are added as integers, T.
 * With W the sum of the cohort's weights, model = base + T / (2^f · W), computed in double precision and rounded once to
 * float32; the metrics are the tail of T by the same scale.
 *
 * @param round in state `aggregated` or `finalised`.
 * @param scores of this attempt (learning:GetScores).
 * @throws SevError MODE_NOT_SECURE, SUMS_UNKNOWN where none are committed, SCORES_MISMATCH where the scores are not those
 *   of the cohort; SecureError RING_LENGTH for a sum of another length, TOTAL_OUT_OF_BOUND where no projections bound
 *   vehicles and the total is longer than honest ones add up to; whatever `fetch` throws where the store lacks a sum.
 */
export async function secureModel(
  task: Task,
  round: SummedRound,
  scores: Pick<Scores, 'weights' | 'cohortHash'>,
  fetch: FetchObject,
): Promise<SecureOutcome> {
  const { cohortHash, cohortSize, sums } = round.secure ?? {};
  const format = formatOf(task);
  if (cohortHash === undefined || cohortSize === undefined || sums === undefined) {
    throw new SevError('SUMS_UNKNOWN', `no sums of attempt ${String(round.attempt)} are committed`);
  }
  if (scores.cohortHash !== cohortHash || scores.weights.length !== cohortSize) {
    throw new SevError('SCORES_MISMATCH', `the scores are not those of the cohort ${cohortHash}`);
  }
  const { parameters } = task.model;
  const terms = secureTermsOf(task);
  const vector = { length: parameters + terms.metrics.length, bits: ringBitsOfTerms(terms) };
  const base = parametersFromBytes(await fetch(round.baseModelHash), parameters);
  const total = await addedTotals(sums, vector, fetch);
  const weight = scores.weights.reduce((sum, w) => sum + w, 0);
  if (terms.projections === 0) {
    const noises = round.secure?.opening.aggregators.length ?? 0;
    checkTotal(total, { format, parameters, weight, noises, noiseDeviation: terms.dp?.noiseDeviation ?? 0 });
  }
  const divisor = weight * 2 ** format.fractionBits;
  const model = base.map((value, index) => value + (total[index] ?? 0) / divisor);
  const bytes = parametersToBytes(model);
  const proposal: Proposal = {
    taskId: round.taskId,
    round: round.round,
    attempt: round.attempt,
    baseModelHash: round.baseModelHash,
    modelHash: sha256Hex(bytes),
    cohortHash,
    cohortSize,
    excluded: [],
  };
  return { proposal, bytes, metrics: decodeTotal(total.subarray(parameters), weight, format) };
}

/**
 * The outcome of a secure round whose sums are committed, as `computeOutcome` gives it in plain mode.
 *
 * @throws SevError SUMS_UNUSABLE where no model follows from the sums that the ledger names, now or later.
 */
export async function computeSecureOutcome(
  task: Task,
  round: RoundRecord,
  learning: LearningContract,
  fetch: FetchObject,
): Promise<RoundOutcome> {
  const { scores } = await learning.scores(attemptOf(round));
  const { proposal, bytes } = await secureModel(task, round, scores, fetch).catch((error: unknown) => {
    throw error instanceof SecureError ? new SevError('SUMS_UNUSABLE', error.message, { cause: error }) : error;
  });
  const usable = scores.weights.filter((weight) => weight > 0).length;
  return { usable, excluded: [], model: { proposal, bytes } };
}

/**
 * What a round's committed sums add up to.
 *
 * @param sums by component, then by shard.
 * @returns the sum of the shards' totals, length d + m; exact: each is below half of the ring, and shards are few.
 */
export async function addedTotals(
  sums: readonly (readonly string[])[],
  { length, bits }: { readonly length: number; readonly bits: RingBits },
  fetch: FetchObject,
): Promise<Float64Array> {
  const added = new Float64Array(length);
  const shards = sums[0]?.length ?? 0;
  for (let shard = 0; shard < shards; shard++) {
    const hashes = sums.map((byShard) => byShard[shard] ?? '');
    const components = await mapConcurrently(hashes, FETCHES_AT_A_TIME, async (hash) =>
      ringFromBytes(await fetch(hash), length, bits),
    );
    totalOf(components).forEach((value, index) => {
      added[index] = (added[index] ?? 0) + value;
    });
  }
  return added;
}
