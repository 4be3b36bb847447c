// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  ContractError,
  refutedComponents,
  scoredWeights,
  unverifiedComponents,
  withoutOpened,
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
import { advanced, isPast, refOf, requireSettled, type SecureAttempt } from './secure-round';

/** What an attempt's sums are made of. */
export interface ScoredCohort {
  readonly cohort: CohortRecord;
  readonly scores: ScoresRecord;
}

export interface SumsFacts extends TransitionFacts, ScoredCohort {
  /** Of the attempts on this base whose sums may have been shown. */
  readonly shown: readonly ScoredCohort[];
  /** Vehicles that were opened by vote: the sums are compared without them. */
  readonly opened: ReadonlySet<string>;
}

/**
 * scored → aggregated: the hashes of all component sums. From here on sums may be shown, so what that costs is charged
 * now and the attempt's reports are burned. Hence nothing may rest on one aggregator's word that the arbiter has not
 * audited: were it a lie, no model could follow, and the base would be spent for it.
 *
 * @returns the round, the same object where these sums were committed before.
 * @throws ContractError ROUND_STALE, ROUND_STATE, SUMS_CONFLICT, DISPUTE_OPEN, VERDICT_AGAINST, COMPONENT_NOT_HELD,
 *   SIGNATURE_INVALID, SUMS_INVALID, AGGREGATORS_MISSING, SUMS_DISAGREE, COMPONENTS_UNVERIFIED, BASE_BURNED,
 *   COHORT_TOO_CLOSE, PRIVACY_BUDGET_EXCEEDED
 */
export function commitSums(attempt: SecureAttempt, input: CommitSums, facts: SumsFacts): RoundRecord {
  const { round, task, terms, secure } = attempt;
  const done = isPast(round, 'scored');
  const answers = agreed(sumsAnswers(attempt, input.sums, facts), 'SUMS_DISAGREE');
  const sums = answers.map(({ content }) => content);
  if (done) {
    if (canonicalJson(secure.sums ?? []) !== canonicalJson(sums)) {
      throw new ContractError('SUMS_CONFLICT', 'other sums were committed before');
    }
    return round;
  }
  requireSettled(secure);
  const answered: SecureRound = { ...secure, sums, answeredBy: answers.map(({ by }) => by) };
  const unverified = unverifiedComponents(answered);
  requireUnrefuted(answered);
  requireVerified({ unverified });
  const weightsOf = ({ cohort, scores }: ScoredCohort): WeightedCohort =>
    withoutOpened(scoredWeights(cohort, scores, terms.shardSize), facts.opened);
  checkDifference(facts.shown.map(weightsOf), weightsOf(facts), task.cohort.minimum);
  return advanced(round, 'aggregated', facts.nowMs, {
    ...answered,
    chargedMicroRho: chargedWithSums(task, secure),
    shownAttempts: [...secure.shownAttempts, { round: round.round, attempt: round.attempt }],
    unverified,
  });
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

/** @throws ContractError VERDICT_AGAINST where verdicts leave nothing that a component's answer could rest on. */
export function requireUnrefuted(secure: SecureRound): void {
  const refuted = refutedComponents(secure);
  if (refuted.length > 0) {
    const detail = `what is known of component ${refuted.join(', ')} is wrong, or the word of ${secure.faulty.join(', ')} alone`;
    throw new ContractError('VERDICT_AGAINST', detail);
  }
}

/** @throws ContractError COMPONENTS_UNVERIFIED while what one aggregator alone answers for was not found right by the arbiter. */
export function requireVerified({ unverified = [] }: Pick<SecureRound, 'unverified'>): void {
  if (unverified.length > 0) {
    const detail = `component ${unverified.join(', ')} rests on the word of one aggregator`;
    throw new ContractError('COMPONENTS_UNVERIFIED', detail);
  }
}
