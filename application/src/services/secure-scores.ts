// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import {
  openedAmong,
  scoredWeights,
  sha256Hex,
  shardsOf,
  withoutOpened,
  type CohortRecord,
  type Scores,
  type SecureRound,
  type SecureTerms,
  type Task,
  type WeightedCohort,
} from '@sev/chaincode/api';
import {
  addTo,
  evenOut,
  projectionVectors,
  ringFromBytes,
  toSigned,
  vectorNorms,
  WEIGHT_RULES,
  type FixedPoint,
  type WeightRule,
} from '@sev/fl';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from './attempt.js';
import { alikeInShown, besideShown } from './beside-shown.js';
import type { LearningContract } from './rounds.js';

/** How a task's updates become integers. @throws SevError MODE_NOT_SECURE. */
export function formatOf(task: Task): FixedPoint {
  const { fractionBits, clipMilli } = secureTermsOf(task);
  return { fractionBits, clip: clipMilli / 1_000 };
}

/** @throws SevError MODE_NOT_SECURE. */
export function secureTermsOf({ taskId, privacy, secure }: Task): SecureTerms {
  if (secure === undefined) {
    throw new SevError('MODE_NOT_SECURE', `task ${taskId} runs in mode ${privacy}`);
  }
  return secure;
}

/** A fixed cohort, and where it stands. */
export interface ScoringInput {
  readonly task: Task;
  readonly ref: AttemptRef;
  readonly cohortHash: string;
  readonly members: CohortRecord['members'];
  /** The round's seed; see `roundSeed`. */
  readonly seed: string;
  /** By component, base64 of K little-endian uint32 for each member in order; none where K = 0. */
  readonly numbers: Readonly<Record<string, string>>;
  /** What the sums that may have been shown on this base count; see {@link shownWeights}. */
  readonly shown: readonly WeightedCohort[];
}

/**
 * What the sums of the attempts on a round's base count that may have been shown, as others are compared with them: without
 * vehicles that were opened by vote.
 */
export async function shownWeights(
  learning: LearningContract,
  task: Task,
  { shownAttempts }: Pick<SecureRound, 'shownAttempts'>,
): Promise<readonly WeightedCohort[]> {
  if (shownAttempts.length === 0) {
    return [];
  }
  const { taskId } = task;
  const [culprits, sums] = await Promise.all([
    learning.culprits(taskId),
    Promise.all(shownAttempts.map((shown) => weightsOf(learning, task, { taskId, ...shown }))),
  ]);
  const opened = openedAmong(culprits);
  return sums.map((sum) => withoutOpened(sum, opened));
}

/** What the sums of an attempt count that the ledger shows scored. */
export async function weightsOf(learning: LearningContract, task: Task, ref: AttemptRef): Promise<WeightedCohort> {
  const [cohort, scores] = await Promise.all([learning.cohort(ref), learning.scores(ref)]);
  return scoredWeights(cohort, scores, secureTermsOf(task).shardSize);
}

/**
 * The weights of a cohort by the task's rule, evened out within each shard (see `evenOut`), and such that its sums may be
 * shown beside those on the same base (see `besideShown`). Coordinator and attesters run this one function.
 *
 * @throws SevError PROJECTIONS_INVALID where the numbers of a component have another length.
 */
export function computeScores(input: ScoringInput): Scores {
  const { task, ref, cohortHash, members } = input;
  const terms = secureTermsOf(task);
  const classWeights = members.map(({ weightClass }) => task.aggregation.weightClasses[weightClass]?.weight ?? 0);
  const vectors = projectionVectors(input.seed, terms.projections, task.model.parameters);
  const { weights: ruled, reasons } = ruleNamed(terms.rule).weigh({
    classWeights,
    projections: projectionsOf(input, terms.projections),
    format: formatOf(task),
    vectorNorms: vectorNorms(vectors),
  });
  const ids = members.map(({ vehicleId }) => vehicleId);
  const evened = ids.map(() => 0);
  const shards = shardsOf(ids, input.seed, terms.shardSize);
  for (const alike of shards.flatMap((shard) => alikeInShown(input.shown, ids, shard))) {
    const inGroup = alike.map((index) => ({ classWeight: classWeights[index] ?? 0, weight: ruled[index] ?? 0 }));
    evenOut(inGroup, task.cohort.minimum).forEach((weight, place) => {
      evened[alike[place] ?? 0] = weight;
    });
  }
  const weights = besideShown(input.shown, { ids, shards, weights: evened }, task.cohort.minimum);
  return {
    ...attemptOf(ref),
    cohortHash,
    weights,
    reasons: ids.flatMap((vehicleId, index) => {
      const lowered = (weights[index] ?? 0) < (classWeights[index] ?? 0) ? 'EVENED' : undefined;
      const reason = reasons[index] ?? lowered;
      return reason === undefined ? [] : [{ vehicleId, reason }];
    }),
  };
}

/** @throws SevError RULE_UNKNOWN for a rule of a later version. */
function ruleNamed(name: string): WeightRule {
  const rule = (WEIGHT_RULES as Readonly<Record<string, WeightRule | undefined>>)[name];
  if (rule === undefined) {
    throw new SevError('RULE_UNKNOWN', `no rule ${name}`);
  }
  return rule;
}

/** Each member's K projections: those of its components added up. */
function projectionsOf({ members, numbers }: ScoringInput, count: number): Int32Array[] {
  const sum = new Uint32Array(members.length * count);
  if (count > 0) {
    for (const [component, text] of Object.entries(numbers)) {
      const bytes = Buffer.from(text, 'base64');
      if (bytes.length !== 4 * sum.length) {
        throw new SevError('PROJECTIONS_INVALID', `component ${component} has ${String(bytes.length)} bytes`);
      }
      addTo(sum, ringFromBytes(bytes, sum.length));
    }
  }
  const signed = toSigned(sum);
  return members.map((_, index) => signed.slice(index * count, (index + 1) * count));
}

/** SHA-256 of a component's numbers, as aggregators sign it. */
export function numbersHash(base64: string): string {
  return sha256Hex(Buffer.from(base64, 'base64'));
}
