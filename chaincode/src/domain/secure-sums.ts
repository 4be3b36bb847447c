// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  ContractError,
  unverifiedComponents,
  type CohortRecord,
  type CommitSums,
  type RoundRecord,
  type ScoresRecord,
  type SecureRound,
  type SumsStatement,
  type WeightedCohort,
} from '../api';
import { checkDifference } from './differencing';
import type { TransitionFacts } from './round';
import { agreed, answersOf, type Answers } from './secure-answers';
import { chargedWithSums } from './secure-opening';
import { advanced, isHeard, isPast, refOf, requireSettled, type SecureAttempt } from './secure-round';

/** What an attempt's sums are made of. */
export interface ScoredCohort {
  readonly cohort: CohortRecord;
  readonly scores: ScoresRecord;
}

export interface SumsFacts extends TransitionFacts, ScoredCohort {
  /** Of the round's attempts whose sums may have been shown. */
  readonly shown: readonly ScoredCohort[];
}

/**
 * scored → aggregated: the hashes of all component sums. From here on sums may be shown, so what that costs is charged
 * now and the attempt's reports are burned.
 *
 * @returns the round, the same object where these sums were committed before.
 * @throws ContractError ROUND_STALE, ROUND_STATE, SUMS_CONFLICT, DISPUTE_OPEN, VERDICT_AGAINST, COMPONENT_NOT_HELD,
 *   SIGNATURE_INVALID, SUMS_INVALID, AGGREGATORS_MISSING, SUMS_DISAGREE, BASE_BURNED, COHORT_TOO_CLOSE,
 *   PRIVACY_BUDGET_EXCEEDED
 */
export function commitSums(attempt: SecureAttempt, input: CommitSums, facts: SumsFacts): RoundRecord {
  const { round, task, secure } = attempt;
  const done = isPast(round, 'scored');
  const answers = agreed(sumsAnswers(attempt, input.sums, facts), 'SUMS_DISAGREE');
  const sums = answers.map(({ content }) => content);
  if (done) {
    if (canonicalJson(secure.sums ?? []) !== canonicalJson(sums)) {
      throw new ContractError('SUMS_CONFLICT', 'other sums were committed before');
    }
    return round;
  }
  requireSettled(secure, 'projections', 'sums');
  requireUnrefutedScores(attempt, facts.scores);
  checkDifference(facts.shown.map(weightedCohort), weightedCohort(facts), task.cohort.minimum);
  const committed: SecureRound = {
    ...secure,
    sums,
    answeredBy: answers.map(({ by }) => by),
    chargedMicroRho: chargedWithSums(task, secure),
    shownAttempts: [...secure.shownAttempts, round.attempt],
  };
  return advanced(round, 'aggregated', facts.nowMs, { ...committed, unverified: unverifiedComponents(committed) });
}

/** The answers of signed sums. @throws ContractError as {@link answersOf}; SUMS_INVALID */
export function sumsAnswers(
  attempt: SecureAttempt,
  sums: CommitSums['sums'],
  { consortium, organisations }: Pick<TransitionFacts, 'consortium' | 'organisations'>,
): readonly Answers<readonly string[]>[] {
  const { round, terms, secure } = attempt;
  const shards = Math.ceil((secure.cohortSize ?? 0) / terms.shardSize);
  for (const { mspId, components } of sums) {
    if (Object.values(components).some((hashes) => hashes.length !== shards)) {
      throw new ContractError('SUMS_INVALID', `${mspId}: a component without one hash for each of ${shards} shards`);
    }
  }
  return answersOf(attempt, sums, organisations, ({ mspId, components }): SumsStatement => ({
    type: 'sev/component-sums/v1',
    ...refOf(round, consortium),
    mspId,
    scoresHash: secure.scoresHash ?? '',
    components,
  }));
}

/** @throws ContractError VERDICT_AGAINST where everybody who answered for the sums of a component turned out wrong. */
export function requireUnrefutedSums({ secure }: SecureAttempt): void {
  (secure.answeredBy ?? []).forEach((by, component) => {
    requireOneHeard(secure, by, `the sums of component ${component}`);
  });
}

/** @throws ContractError VERDICT_AGAINST where everybody who opened a component's projections turned out wrong. */
export function requireUnrefutedScores({ terms, secure }: SecureAttempt, { projections }: ScoresRecord): void {
  if (terms.projections === 0) {
    return;
  }
  const components = secure.opening.aggregators[0]?.nonceLeaves.length ?? 0;
  for (let component = 0; component < components; component += 1) {
    const by = projections.filter((answer) => String(component) in answer.components).map(({ mspId }) => mspId);
    requireOneHeard(secure, by, `the projections of component ${component}`);
  }
}

function requireOneHeard(secure: SecureRound, by: readonly string[], what: string): void {
  if (!by.some((mspId) => isHeard(secure, mspId))) {
    throw new ContractError('VERDICT_AGAINST', `${what} are the word of ${by.join(', ')} alone`);
  }
}

function weightedCohort({ cohort, scores }: ScoredCohort): WeightedCohort {
  return new Map(cohort.members.map(({ vehicleId }, index) => [vehicleId, scores.scores.weights[index] ?? 0]));
}
