// SPDX-License-Identifier: Apache-2.0
import {
  cohortDifferenceProblem,
  coveredUpdates,
  differenceProblem,
  refutedComponents,
  roundSeed,
  sizeProblem,
  type AbortReason,
  type CohortProblem,
  type Holdings,
  type ReceiptRecord,
  type UpdateRecord,
  type WeightedCohort,
} from '@sev/chaincode/api';
import type { AbortEvidence } from '../services/abort-evidence.js';
import { isBeyondAudit, openDisputeOf } from '../services/audits.js';
import { attemptOf } from '../services/attempt.js';
import { checkOpenedNoise, noncesFit } from '../services/opened-noise.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { subsetsBySize } from '../services/subsets.js';
import { refuseUntil, type Refusal } from './decisions.js';
import { signedHoldings, type SecureView } from './secure-decisions.js';

/** Least share of a round's time that an aggregator, or the arbiter, is given for one step. */
const PATIENCE_SHARE = 4;

/** What an attester's own ledger shows that decides about a cohort. */
export interface CohortView extends SecureView {
  readonly updates: readonly UpdateRecord[];
  readonly receipts: readonly ReceiptRecord[];
  /** What the sums count that may have been shown on this base. */
  readonly shown: readonly WeightedCohort[];
}

/** The reasons that say that no cohort of a closed round will do. */
export type CohortReason = 'COHORT_TOO_SMALL' | 'COHORT_TOO_LARGE' | 'COHORT_TOO_CLOSE';

export function isCohortReason(reason: AbortReason): reason is CohortReason {
  return reason === 'COHORT_TOO_SMALL' || reason === 'COHORT_TOO_LARGE' || reason === 'COHORT_TOO_CLOSE';
}

/** A closed round is given up at once where whatever aggregators sign, no cohort follows that may be summed. */
export function refuseCohortAbort(
  view: CohortView,
  reason: CohortReason,
  { holdings = [] }: AbortEvidence,
  nowMs: number,
): Refusal | undefined {
  const { task, round, secure } = view;
  const terms = secureTermsOf(task);
  const signed = signedHoldings(view, holdings, view.updates);
  if (signed.length <= terms.threshold) {
    return refuseImpatience(view, nowMs);
  }
  const enough = subsetsBySize(signed).filter(({ length }) => length > terms.threshold);
  const problems = enough.map((some) => problemOf(view, some));
  const all = problemOf(view, signed);
  if (all === undefined || reasonOf(all) !== reason || problems.includes(undefined)) {
    const detail = `what follows from these holdings, or some of them, is ${all?.code ?? 'a cohort that may be summed'}`;
    return { code: 'REASON_NOT_CONFIRMED', detail };
  }
  // Who has not signed yet might still hold what others lack, so it has its time.
  const isComplete = signed.length === secure.opening.aggregators.length;
  const closedAtMs = round.closedAtMs ?? nowMs;
  return isComplete
    ? refuseUntil('GRACE_NOT_OVER', closedAtMs + terms.receiptMs - nowMs)
    : refuseImpatience(view, nowMs);
}

/** A scored round is given up at once where its weights leave too little between its sums and those that were shown. */
export function refuseScoredAbort(
  { task }: SecureView,
  shown: readonly WeightedCohort[],
  own: WeightedCohort,
): Refusal | undefined {
  return differenceProblem(shown, own, task.cohort.minimum) === undefined
    ? { code: 'REASON_NOT_CONFIRMED', detail: 'the sums may be shown beside those that were' }
    : undefined;
}

/**
 * For a reason that shows in nothing but in that nothing comes, an attester has patience: once sums were committed, so that
 * another attempt costs the base, the time of a whole round. Reasons that do not fit what its ledger shows it never signs.
 */
export function refuseSilence(view: SecureView, reason: AbortReason, nowMs: number): Refusal | undefined {
  const { secure, task, round } = view;
  const isInVain = refutedComponents(secure).length > 0 || isBeyondAudit(secure, secureTermsOf(task));
  if (reason === 'AGGREGATORS_MISSING' && isInVain) {
    return undefined;
  }
  const open = openDisputeOf(secure);
  const mayBe =
    reason === 'AGGREGATORS_MISSING' ||
    (reason === 'DISPUTE_UNSETTLED' && (open !== undefined || (secure.unverified ?? []).length > 0)) ||
    // Weights may leave fewer than the minimum.
    (reason === 'COHORT_TOO_SMALL' && round.state === 'cohort');
  if (!mayBe) {
    return { code: 'REASON_NOT_CONFIRMED', detail: `nothing in a round that is ${round.state} speaks for ${reason}` };
  }
  return refuseImpatience(view, nowMs, reason === 'DISPUTE_UNSETTLED' ? open?.openedAtMs : undefined);
}

/** Noise is false where the seed that its aggregator committed itself to gives another. */
export function refuseAccusation(view: SecureView, evidence: AbortEvidence): Refusal | undefined {
  const { consortium, task, round, secure } = view;
  const { accused = [], nonces = [], noiseSeeds = {} } = evidence;
  const ref = { consortium: consortium.bootstrapHash, ...attemptOf(round) };
  if (secureTermsOf(task).dp === undefined || !noncesFit(ref, secure.opening, nonces)) {
    return { code: 'REASON_NOT_CONFIRMED', detail: 'the nonces do not open any noise' };
  }
  const seed = roundSeed(ref, secure.cohortHash ?? '', nonces);
  const place = { ...ref, baseModelHash: round.baseModelHash };
  const found = checkOpenedNoise(place, task, secure.opening, seed, noiseSeeds);
  return accused.length > 0 && String(found.false) === String(accused)
    ? undefined
    : { code: 'REASON_NOT_CONFIRMED', detail: `the shown seeds accuse ${found.false.join(', ') || 'nobody'}` };
}

/** @param sinceMs - when the wait began, where that is later than the round's present state. */
function refuseImpatience({ task, round }: SecureView, nowMs: number, sinceMs = 0): Refusal | undefined {
  const share = round.state === 'aggregated' ? 1 : PATIENCE_SHARE;
  const patienceMs = Math.max(secureTermsOf(task).receiptMs, Math.ceil(task.deadlines.roundMs / share));
  const since = Math.max(round.stateSinceMs ?? round.closedAtMs ?? nowMs, sinceMs);
  return refuseUntil('ROUND_DEADLINE_NOT_REACHED', since + patienceMs - nowMs);
}

function problemOf(
  { task, updates, receipts, shown }: CohortView,
  signed: readonly Holdings[],
): CohortProblem | undefined {
  const { covered } = coveredUpdates(updates, signed, receipts);
  return (
    sizeProblem(task, secureTermsOf(task), covered.length) ??
    cohortDifferenceProblem(shown, covered, task.cohort.minimum)
  );
}

function reasonOf({ code }: CohortProblem): AbortReason {
  return code === 'BASE_BURNED' ? 'COHORT_TOO_CLOSE' : code;
}
