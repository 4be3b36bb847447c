// SPDX-License-Identifier: Apache-2.0
import {
  basisOf,
  canonicalJson,
  commitSums,
  componentHolders,
  evidenceProblem,
  noiseLeaf,
  nonceLeaf,
  openedCandidate,
  projectionsHash,
  referencesProblem,
  refutedComponents,
  roundSeed,
  scoreRound,
  scoredWeights,
  scoresHash,
  shardsOf,
  smallestGroup,
  sumsMicroRho,
  unverifiedComponents,
  type Basis,
  type CommitSums,
  type ProjectionsStatement,
  type ScoreRound,
  type Scores,
  type ScoresStatement,
  type SecureRound,
  type Signable,
  type SumsStatement,
} from '@sev/chaincode/api';
import { attemptKey, requireMajority, requireSigned } from './domain-context.js';
import type { AuditCode } from './failure.js';
import { requireDistance } from './secure-cohort-rules.js';
import { requirePrivacyBudget } from './secure-opening-rules.js';
import { requireSettled, stepError, type SecureAudit } from './secure-step.js';

/** Scored by weights that a majority attests, after the nonces that the opening committed to were shown. */
export function roundScored(audit: SecureAudit): SecureRound {
  const { state, transaction, record, secure, terms, ref } = audit;
  const asked = scoreRound.parse(transaction.argument);
  const { nonces, noiseSeeds, projections, scores } = asked;
  requireSettled(audit, 'projections');
  const seed = seedOf(audit, nonces);
  const basis = basisOf(seed, scores.references);
  checkNoise(audit, seed, noiseSeeds ?? []);
  const projected =
    terms.projections === 0 ? [] : agreedAnswers(audit, projectionAnswers(audit, projections, basis), 'SCORES_INVALID');
  checkWeights(audit, scores, seed);
  checkJudgement(audit, scores);
  const written = state.scores.get(attemptKey(record));
  const content = [scores, projections, noiseSeeds ?? null, seed];
  const found = [written?.scores, written?.projections, written?.noiseSeeds ?? null, written?.seed ?? seed];
  if (canonicalJson(found) !== canonicalJson(content)) {
    throw stepError(audit, 'SCORES_INVALID', 'the scores on the ledger are not those that were asked for');
  }
  const hashes = { scoresHash: scoresHash(scores), projectionsHash: projectionsHash(asked) };
  requireMajority(state, transaction, written?.attestations ?? [], (mspId): ScoresStatement => ({
    type: 'sev/attest-scores/v2',
    ...{ ...ref, ...hashes, mspId },
  }));
  const scored = { ...secure, ...basis, scoresHash: hashes.scoresHash };
  return terms.projections === 0
    ? scored
    : { ...scored, projections: projected.map(({ content: one }) => one), projectedBy: projected.map(({ by }) => by) };
}

/** Sums that aggregators signed and agree about, none of them on one's word alone, charged before they are shown. */
export function sumsCommitted(audit: SecureAudit): SecureRound {
  const { transaction, record, secure, task } = audit;
  const { sums } = commitSums.parse(transaction.argument);
  const isUnderFirst = secure.rules === undefined;
  requireSettled(audit, ...(isUnderFirst ? (['projections', 'sums'] as const) : []));
  const answers = agreedAnswers(audit, sumAnswers(audit, sums), 'SUMS_INVALID');
  requireDistance(audit);
  const charged = BigInt(secure.chargedMicroRho) + sumsMicroRho(task);
  requirePrivacyBudget(audit, charged);
  const committed: SecureRound = {
    ...secure,
    sums: answers.map(({ content }) => content),
    answeredBy: answers.map(({ by }) => by),
    chargedMicroRho: Number(charged),
    shownAttempts: [...secure.shownAttempts, { round: record.round, attempt: record.attempt }],
  };
  requireUnrefuted(audit, committed);
  const unverified = unverifiedComponents(committed);
  if (!isUnderFirst) {
    requireVerified(audit, unverified);
  }
  return { ...committed, unverified };
}

/** @throws AuditError DISPUTE_INVALID where verdicts went against what is known of some component. */
export function requireUnrefuted(audit: SecureAudit, secure: SecureRound = audit.secure): void {
  const refuted = refutedComponents(secure);
  if (refuted.length > 0) {
    const detail = `a verdict went against all that is known of component ${refuted.join(', ')}`;
    throw stepError(audit, 'DISPUTE_INVALID', detail);
  }
}

/** @throws AuditError SUMS_INVALID where something rests on one aggregator's word that the arbiter has not audited. */
export function requireVerified(audit: SecureAudit, unverified = audit.secure.unverified ?? []): void {
  if (unverified.length > 0) {
    throw stepError(audit, 'SUMS_INVALID', `component ${unverified.join(', ')} rests on the word of one aggregator`);
  }
}

type Answers<T> = readonly ReadonlyMap<string, T>[];

/** What aggregators opened of each component. @throws AuditError as {@link answersOf} */
export function projectionAnswers(
  audit: SecureAudit,
  projections: ScoreRound['projections'],
  basis: Basis,
): Answers<string> {
  const { cohortHash = '' } = audit.secure;
  return answersOf(audit, projections, ({ mspId, components }): ProjectionsStatement => ({
    type: 'sev/projections/v1',
    ...{ ...audit.ref, mspId, cohortHash, ...basis, components },
  }));
}

/** What aggregators summed of each component. @throws AuditError as {@link answersOf}; SUMS_INVALID */
export function sumAnswers(audit: SecureAudit, sums: CommitSums['sums']): Answers<readonly string[]> {
  const { terms, secure, ref } = audit;
  const shards = Math.ceil((secure.cohortSize ?? 0) / terms.shardSize);
  const { scoresHash: hash = '' } = secure;
  if (sums.some(({ components }) => Object.values(components).some((hashes) => hashes.length !== shards))) {
    throw stepError(audit, 'SUMS_INVALID', `a component has not one hash for each of ${String(shards)} shards`);
  }
  return answersOf(audit, sums, ({ mspId, components }): SumsStatement => ({
    type: 'sev/component-sums/v1',
    ...{ ...ref, mspId, scoresHash: hash, components },
  }));
}

/** The seed that the nonces of a cohort make. @throws AuditError NONCE_MISMATCH */
export function seedOf(audit: SecureAudit, nonces: ScoreRound['nonces']): string {
  const { secure, ref } = audit;
  const { aggregators } = secure.opening;
  const leaves = nonces.map((nonce, index) =>
    nonce.map((value, component) => nonceLeaf(ref, aggregators[index]?.mspId ?? '', component, value)),
  );
  if (canonicalJson(leaves) !== canonicalJson(aggregators.map(({ nonceLeaves }) => nonceLeaves))) {
    throw stepError(audit, 'NONCE_MISMATCH', 'the nonces are not those of the opening');
  }
  return roundSeed(ref, secure.cohortHash ?? '', nonces);
}

function checkNoise(audit: SecureAudit, seed: string, shown: NonNullable<ScoreRound['noiseSeeds']>): void {
  const { aggregators } = audit.secure.opening;
  const expected = aggregators.flatMap(({ mspId, noise }) =>
    noise === undefined ? [] : [noise[openedCandidate(seed, mspId)].seedLeaves],
  );
  const leaves = shown.map((parts, index) =>
    parts.map((part, component) => noiseLeaf(audit.ref, aggregators[index]?.mspId ?? '', component, part)),
  );
  if (canonicalJson(leaves) !== canonicalJson(expected)) {
    throw stepError(audit, 'NONCE_MISMATCH', 'the seeds of noise are not those that the nonces choose');
  }
}

/** Where the task has validators, scores rest on directions that the opening committed to, and speak of every member. */
function checkJudgement(audit: SecureAudit, scores: Scores): void {
  const { state, record, terms, secure } = audit;
  const members = state.cohorts.get(attemptKey(record))?.members ?? [];
  const problem =
    referencesProblem(terms.validation, secure, scores.references) ??
    evidenceProblem(terms.validation, scores, { members });
  if (problem !== undefined) {
    throw stepError(audit, 'SCORES_INVALID', problem.detail);
  }
}

function checkWeights(audit: SecureAudit, scores: Scores, seed: string): void {
  const { weights, reasons, cohortHash } = scores;
  const { state, record, task, terms, secure } = audit;
  const members = state.cohorts.get(attemptKey(record))?.members ?? [];
  const most = members.map((member) => task.aggregation.weightClasses[member.weightClass]?.weight ?? 0);
  const lowered = members.filter((_, index) => weights[index] !== most[index]).map(({ vehicleId }) => vehicleId);
  const isFair =
    cohortHash === secure.cohortHash &&
    weights.length === members.length &&
    weights.every((weight, index) => weight <= (most[index] ?? 0)) &&
    (terms.projections > 0 || reasons.every(({ reason }) => reason === 'EVENED')) &&
    canonicalJson(reasons.map(({ vehicleId }) => vehicleId)) === canonicalJson(lowered);
  if (!isFair) {
    throw stepError(
      audit,
      'SCORES_INVALID',
      'the weights are not at most those of the classes, with a reason for each',
    );
  }
  const ids = members.map(({ vehicleId }) => vehicleId);
  const counted = shardsOf(ids, seed, terms.shardSize).map(
    (shard) => shard.filter((index) => (weights[index] ?? 0) > 0).length,
  );
  if (Math.min(...counted) < task.cohort.minimum) {
    const detail = `a sum over ${String(Math.min(...counted))} vehicles with a weight is below the minimum cohort`;
    throw stepError(audit, 'SCORES_INVALID', detail);
  }
  const fewest = smallestGroup([scoredWeights({ members }, { scores, seed }, terms.shardSize)]);
  if (fewest < task.cohort.minimum) {
    throw stepError(audit, 'SCORES_INVALID', `a weight is that of ${String(fewest)} vehicles of a shard only`);
  }
}

interface SignedAnswer<T> {
  readonly mspId: string;
  readonly components: Readonly<Record<string, T>>;
  readonly signature: string;
}

/** @throws AuditError STATEMENT_SIGNATURE; SUMS_INVALID for a component that the aggregator does not hold. */
function answersOf<T>(
  audit: SecureAudit,
  signed: readonly SignedAnswer<T>[],
  statementOf: (answer: SignedAnswer<T>) => Signable & { readonly mspId: string },
): Answers<T> {
  const { state, transaction, terms, secure } = audit;
  const holders = componentHolders(terms);
  const answers = holders.map(() => new Map<string, T>());
  for (const answer of signed.filter(({ mspId }) => !secure.faulty.includes(mspId))) {
    const { mspId, components, signature } = answer;
    requireSigned(state, transaction, statementOf(answer), signature);
    for (const [component, content] of Object.entries(components)) {
      const byAggregator = answers[Number(component)];
      const isHeld = holders[Number(component)]?.includes(mspId) === true && secure.holders?.includes(mspId) === true;
      if (byAggregator === undefined || !isHeld || byAggregator.has(mspId)) {
        throw stepError(
          audit,
          'SUMS_INVALID',
          `${mspId} answers for component ${component}, which is not its to answer`,
        );
      }
      byAggregator.set(mspId, content);
    }
  }
  return answers;
}

function agreedAnswers<T>(
  audit: SecureAudit,
  answers: Answers<T>,
  code: AuditCode,
): readonly { readonly content: T; readonly by: readonly string[] }[] {
  return answers.map((byAggregator, component) => {
    const [content] = byAggregator.values();
    if (content === undefined) {
      throw stepError(audit, code, `nobody answers for component ${String(component)}`);
    }
    if (new Set([...byAggregator.values()].map(canonicalJson)).size > 1) {
      throw stepError(audit, code, `aggregators contradict each other about component ${String(component)}`);
    }
    return { content, by: [...byAggregator.keys()].sort() };
  });
}
