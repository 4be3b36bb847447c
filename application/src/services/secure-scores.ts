// SPDX-License-Identifier: Apache-2.0
import {
  openedAmong,
  scoredWeights,
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
  contributionOf,
  decideWeights,
  evenOut,
  projectionVectors,
  suspicionOf,
  vectorNorms,
  WEIGHT_RULES,
  type Decided,
  type FixedPoint,
  type WeightInput,
  type WeightRule,
} from '@sev/fl';
import { SevError } from '../errors.js';
import type { ReferenceDirection } from '../validation/directions.js';
import { attemptOf, type AttemptRef } from './attempt.js';
import { alikeInShown, besideShown } from './beside-shown.js';
import { readNumbers } from './opened-numbers.js';
import type { PastRound } from './past-rounds.js';
import { collect, type LearningContract } from './rounds.js';

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
  /** What was opened, by component; see `readNumbers`. */
  readonly numbers: Readonly<Record<string, string>>;
  /** Where the task has validators. */
  readonly reference?: Omit<ReferenceDirection, 'direction'>;
  /** Earlier rounds that vehicles are compared over, ascending. */
  readonly past?: readonly PastRound[];
  /** What earlier finalised rounds have made of vehicles, by id; see {@link suspicionBefore}. */
  readonly suspicion?: ReadonlyMap<string, number>;
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

/** Suspicion by vehicle, in thousandths of a nat, as the last finalised round of the task left it; of those that have any. */
export async function suspicionBefore(
  learning: LearningContract,
  { taskId, secure }: Task,
): Promise<ReadonlyMap<string, number>> {
  const standings = secure?.validation === undefined ? [] : await collect(learning.standings(taskId));
  return new Map(standings.map(({ vehicleId, suspicionMilli }) => [vehicleId, suspicionMilli]));
}

/** What the sums of an attempt count that the ledger shows scored. */
export async function weightsOf(learning: LearningContract, task: Task, ref: AttemptRef): Promise<WeightedCohort> {
  const [cohort, scores] = await Promise.all([learning.cohort(ref), learning.scores(ref)]);
  return scoredWeights(cohort, scores, secureTermsOf(task).shardSize);
}

/**
 * The weights of a cohort by the task's rule, evened out within each shard (see `evenOut`), and such that its sums may be
 * shown beside those on the same base (see `besideShown`); where the task has validators, with the evidence about each
 * member. Coordinator and attesters run this one function.
 *
 * @throws SevError PROJECTIONS_INVALID where the numbers of a component have another length, REFERENCES_INVALID where the
 *   task has validators and there is no reference direction.
 */
export function computeScores(input: ScoringInput): Scores {
  const { ref, cohortHash, members, reference, past = [] } = input;
  const opened = weightInputOf(input);
  const { classWeights } = opened;
  const ids = members.map(({ vehicleId }) => vehicleId);
  const { weights, reasons, isLengthsOnly } = weighed(opened, input);
  return {
    ...attemptOf(ref),
    cohortHash,
    weights: [...weights],
    reasons: ids.flatMap((vehicleId, index) => {
      const lowered = (weights[index] ?? 0) < (classWeights[index] ?? 0) ? 'EVENED' : undefined;
      const reason = reasons[index] ?? lowered;
      return reason === undefined ? [] : [{ vehicleId, reason }];
    }),
    ...(isLengthsOnly ? { lengthsOnly: true } : {}),
    ...(reference === undefined ? {} : evidenceOf(reference, opened, weights)),
    ...(past.length === 0 ? {} : { past: past.map(({ round, attempt }) => ({ round, attempt })) }),
  };
}

/** Weights by the task's rule, evened out among those that sums may tell apart. */
function weighed(opened: WeightInput, { task, members, seed, shown }: ScoringInput): Decided {
  const { minimum } = task.cohort;
  const { classWeights } = opened;
  const { rule, shardSize } = secureTermsOf(task);
  const ids = members.map(({ vehicleId }) => vehicleId);
  const shards = shardsOf(ids, seed, shardSize);
  const even = (ruled: readonly number[]): number[] => {
    const evened = ids.map(() => 0);
    for (const alike of shards.flatMap((shard) => alikeInShown(shown, ids, shard))) {
      const inGroup = alike.map((index) => ({ classWeight: classWeights[index] ?? 0, weight: ruled[index] ?? 0 }));
      evenOut(inGroup, minimum).forEach((weight, place) => {
        evened[alike[place] ?? 0] = weight;
      });
    }
    return besideShown(shown, { ids, shards, weights: evened }, minimum);
  };
  return decideWeights(ruleNamed(rule), opened, { shards, minimum, even });
}

function weightInputOf(input: ScoringInput): WeightInput {
  const { task, members, reference, past = [] } = input;
  const terms = secureTermsOf(task);
  if ((terms.validation === undefined) !== (reference === undefined)) {
    throw new SevError(
      'REFERENCES_INVALID',
      'a task with validators is scored by a reference direction, others by none',
    );
  }
  const { projections, products } = readNumbers(terms, members.length, input.numbers);
  const vectors = projectionVectors(input.seed, terms.projections, task.model.parameters);
  return {
    classWeights: members.map(({ weightClass }) => task.aggregation.weightClasses[weightClass]?.weight ?? 0),
    projections,
    format: formatOf(task),
    vectorNorms: vectorNorms(vectors),
    ...(reference === undefined || products === undefined ? {} : { reference: { products, norm: reference.norm } }),
    past: past.map((round) => members.map(({ vehicleId }) => round.projections.get(vehicleId))),
    standing: members.map(({ vehicleId }) => ({ suspicionMilli: input.suspicion?.get(vehicleId) ?? 0 })),
    ...(terms.validation === undefined ? {} : { quarantineMilli: terms.validation.quarantineMilli }),
  };
}

/** Contributions follow from the weights that count, not from those that the rule gave. */
function evidenceOf(
  { references, astray }: Pick<ReferenceDirection, 'references' | 'astray'>,
  opened: WeightInput,
  weights: readonly number[],
): Pick<Scores, 'references' | 'astray' | 'evidence'> {
  const suspicionMilli = [...suspicionOf(opened)];
  const contributionMicro = [...contributionOf(opened, weights)];
  return { references: [...references], astray: [...astray], evidence: { suspicionMilli, contributionMicro } };
}

/** @throws SevError RULE_UNKNOWN for a rule of a later version. */
function ruleNamed(name: string): WeightRule {
  const rule = (WEIGHT_RULES as Readonly<Record<string, WeightRule | undefined>>)[name];
  if (rule === undefined) {
    throw new SevError('RULE_UNKNOWN', `no rule ${name}`);
  }
  return rule;
}
