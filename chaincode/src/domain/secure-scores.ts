// SPDX-License-Identifier: Apache-2.0
import {
  basisOf,
  ContractError,
  noiseLeaf,
  nonceLeaf,
  openedCandidate,
  projectionsHash,
  roundSeed,
  scoredWeights,
  scoresHash,
  shardsOf,
  smallestGroup,
  type Basis,
  type CohortRecord,
  type ProjectionsStatement,
  type RoundRecord,
  type ScoreRound,
  type Scores,
  type ScoresRecord,
  type ScoresStatement,
  type SecureRound,
} from '../api';
import type { TransitionFacts } from './round';
import { agreed, answersOf, type Answers } from './secure-answers';
import { advanced, isPast, refOf, requireSettled, type SecureAttempt } from './secure-round';
import { requireMajority, validStatements } from './statements';
import { checkEvidence, checkReferences } from './validation';

/**
 * cohort → scored: the nonces fit the opening, every component's projections have one answer, and a majority attests the
 * weights that follow from them.
 *
 * @returns the round, the same object where it was scored like this before, and the scores' record.
 * @throws ContractError ROUND_STALE, ROUND_STATE, SCORES_CONFLICT, COHORT_MISMATCH, DISPUTE_OPEN, NONCE_INVALID,
 *   NOISE_INVALID, COMPONENT_NOT_HELD, SIGNATURE_INVALID, AGGREGATORS_MISSING, PROJECTIONS_DISAGREE, SCORES_INVALID,
 *   COHORT_TOO_SMALL, REFERENCES_INVALID, EVIDENCE_INVALID, STATEMENTS_INSUFFICIENT
 */
export function scoreRound(
  attempt: SecureAttempt,
  input: ScoreRound,
  cohort: CohortRecord,
  facts: TransitionFacts,
): { readonly round: RoundRecord; readonly record: ScoresRecord } | undefined {
  const { round, secure } = attempt;
  const { consortium, organisations } = facts;
  const { scores, projections, noiseSeeds } = input;
  const hash = scoresHash(scores);
  const evidence = projectionsHash(input);
  if (isPast(round, 'cohort')) {
    if (secure.scoresHash !== hash) {
      throw new ContractError('SCORES_CONFLICT', `scored before with hash ${secure.scoresHash ?? ''}`);
    }
    return undefined;
  }
  requireSettled(secure, 'projections');
  const seed = openedSeed(attempt, input.nonces, consortium);
  checkNoise(attempt, seed, noiseSeeds, consortium);
  const { references } = scores;
  checkReferences(attempt, references);
  const basis = basisOf(seed, references);
  const projected = agreedProjections(attempt, projections, basis, facts);
  checkScores(attempt, scores, cohort, seed);
  checkEvidence(attempt, scores, cohort);
  const attestations = validStatements(input.attestations, organisations, (mspId): ScoresStatement => ({
    type: 'sev/attest-scores/v2',
    ...refOf(round, consortium),
    scoresHash: hash,
    projectionsHash: evidence,
    mspId,
  }));
  requireMajority(attestations, organisations);
  const record: ScoresRecord = {
    docType: 'scores',
    schemaVersion: 1,
    scores,
    attestations,
    projections,
    ...(noiseSeeds === undefined ? {} : { noiseSeeds }),
    seed,
  };
  return { round: advanced(round, 'scored', facts.nowMs, { ...basis, scoresHash: hash, ...projected }), record };
}

/**
 * The seed that the nonces of a fixed cohort make.
 *
 * @throws ContractError NONCE_INVALID where they are not those that the opening committed to.
 */
export function openedSeed(
  { round, secure }: SecureAttempt,
  nonces: readonly (readonly string[])[],
  consortium: string,
): string {
  const ref = refOf(round, consortium);
  const { aggregators } = secure.opening;
  if (nonces.length !== aggregators.length) {
    throw new ContractError('NONCE_INVALID', `${nonces.length} nonces; the opening has ${aggregators.length}`);
  }
  aggregators.forEach(({ mspId, nonceLeaves }, index) => {
    const components = nonces[index] ?? [];
    const leaves = components.map((value, i) => nonceLeaf(ref, mspId, i, value));
    if (!isSame(leaves, nonceLeaves)) {
      throw new ContractError('NONCE_INVALID', `not the components of the nonce of ${mspId}`);
    }
  });
  return roundSeed(ref, secure.cohortHash ?? '', nonces);
}

/** The answers of signed projections. @throws ContractError as {@link answersOf} */
export function projectionAnswers(
  attempt: SecureAttempt,
  projections: ScoreRound['projections'],
  basis: Basis,
  { consortium, organisations }: Pick<TransitionFacts, 'consortium' | 'organisations'>,
): readonly Answers<string>[] {
  const { round, secure } = attempt;
  return answersOf(attempt, projections, organisations, ({ mspId, components }): ProjectionsStatement => ({
    type: 'sev/projections/v1',
    ...refOf(round, consortium),
    mspId,
    cohortHash: secure.cohortHash ?? '',
    ...basis,
    components,
  }));
}

/** One of each aggregator's two candidates of noise is shown, the one that the nonces choose; the other is used. */
function checkNoise(
  { round, terms, secure }: SecureAttempt,
  seed: string,
  noiseSeeds: ScoreRound['noiseSeeds'],
  consortium: string,
): void {
  const ref = refOf(round, consortium);
  const { aggregators } = secure.opening;
  const expected = terms.dp === undefined ? undefined : aggregators.length;
  if (noiseSeeds?.length !== expected) {
    throw new ContractError('NOISE_INVALID', `${noiseSeeds?.length ?? 0} noise seeds; expected ${expected ?? 0}`);
  }
  aggregators.forEach(({ mspId, noise }, index) => {
    const leaves = (noiseSeeds?.[index] ?? []).map((part, i) => noiseLeaf(ref, mspId, i, part));
    if (!isSame(leaves, noise?.[openedCandidate(seed, mspId)].seedLeaves ?? [])) {
      throw new ContractError('NOISE_INVALID', `not the seed of the candidate of ${mspId} that the nonces choose`);
    }
  });
}

function isSame(leaves: readonly string[], committed: readonly string[]): boolean {
  return leaves.length === committed.length && leaves.every((leaf, i) => leaf === committed[i]);
}

/** Each component's projections and who answers for them; nothing where the task opens none. */
function agreedProjections(
  attempt: SecureAttempt,
  projections: ScoreRound['projections'],
  basis: Basis,
  facts: TransitionFacts,
): Pick<SecureRound, 'projections' | 'projectedBy'> {
  if (attempt.terms.projections === 0) {
    insist(projections.length === 0, 'projections: this task opens none');
    return {};
  }
  const answers = agreed(projectionAnswers(attempt, projections, basis, facts), 'PROJECTIONS_DISAGREE');
  return { projections: answers.map(({ content }) => content), projectedBy: answers.map(({ by }) => by) };
}

/** Weights are attested by recomputation; what follows from public facts alone is checked here. */
function checkScores(attempt: SecureAttempt, scores: Scores, cohort: CohortRecord, seed: string): void {
  const { task, terms, secure } = attempt;
  if (scores.cohortHash !== secure.cohortHash) {
    throw new ContractError('COHORT_MISMATCH', `the hash of the cohort is ${secure.cohortHash ?? ''}`);
  }
  const { members } = cohort;
  const { weights, reasons } = scores;
  insist(weights.length === members.length, `weights: ${weights.length} for ${members.length} vehicles`);
  const lowered = members.filter(({ vehicleId, weightClass }, index) => {
    const [weight, most] = [weights[index] ?? 0, task.aggregation.weightClasses[weightClass]?.weight ?? 0];
    insist(weight <= most, `weights: ${vehicleId} has more than its class`);
    return weight < most;
  });
  const named = reasons.map(({ vehicleId }) => vehicleId);
  const expected = lowered.map(({ vehicleId }) => vehicleId);
  insist(String(named) === String(expected), 'reasons: not exactly of the vehicles below the weight of their class');
  const isEvened = reasons.every(({ reason }) => reason === 'EVENED');
  insist(
    isEvened || terms.projections > 0,
    'reasons: without projections weights are lowered to be even, and for nothing else',
  );
  const ids = members.map(({ vehicleId }) => vehicleId);
  for (const shard of shardsOf(ids, seed, terms.shardSize)) {
    // Each shard's sum is opened, so each is a cohort of its own.
    const counted = shard.filter((index) => (weights[index] ?? 0) > 0).length;
    if (counted < task.cohort.minimum) {
      const detail = `${counted} vehicles with a weight in a shard; the task needs ${task.cohort.minimum}`;
      throw new ContractError('COHORT_TOO_SMALL', detail);
    }
  }
  const fewest = smallestGroup([scoredWeights(cohort, { scores, seed }, terms.shardSize)]);
  insist(
    fewest >= task.cohort.minimum,
    `weights: one is that of ${fewest} vehicles of a shard only; the task needs ${task.cohort.minimum}`,
  );
}

function insist(holds: boolean, problem: string): void {
  if (!holds) {
    throw new ContractError('SCORES_INVALID', problem);
  }
}
