// SPDX-License-Identifier: Apache-2.0
import {
  cohortDifferenceProblem,
  coveredUpdates,
  differenceProblem,
  ledgerPatienceMs,
  refutedComponents,
  roundSeed,
  sizeProblem,
  stepPatienceMs,
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
): Refusal | undefined {
  const { task, secure, inStateMs } = view;
  const terms = secureTermsOf(task);
  const signed = signedHoldings(view, holdings, view.updates);
  if (signed.length <= terms.threshold) {
    return refuseImpatience(view);
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
  return isComplete ? refuseUntil('GRACE_NOT_OVER', terms.receiptMs - inStateMs) : refuseImpatience(view);
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
export function refuseSilence(view: SecureView, reason: AbortReason): Refusal | undefined {
  const { secure, task, round } = view;
  const isInVain = refutedComponents(secure).length > 0 || isBeyondAudit(secure, secureTermsOf(task));
  if (reason === 'AGGREGATORS_MISSING' && isInVain) {
    return undefined;
  }
  const open = openDisputeOf(secure);
  const mayBe =
    // While a dispute is open it is the arbiter that is waited for, and the ledger is to say so.
    (reason === 'AGGREGATORS_MISSING' && open === undefined) ||
    (reason === 'DISPUTE_UNSETTLED' && (open !== undefined || (secure.unverified ?? []).length > 0)) ||
    // Weights may leave fewer than the minimum.
    (reason === 'COHORT_TOO_SMALL' && round.state === 'cohort');
  if (!mayBe) {
    return { code: 'REASON_NOT_CONFIRMED', detail: `nothing in a round that is ${round.state} speaks for ${reason}` };
  }
  return refuseImpatience(view);
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

function refuseImpatience(view: SecureView): Refusal | undefined {
  const { inStateMs, disputedMs = inStateMs } = view;
  // A dispute begins the wait anew: the arbiter has its time, whatever was waited for before.
  return refuseUntil('ROUND_DEADLINE_NOT_REACHED', patienceMs(view) - Math.min(inStateMs, disputedMs));
}

/** Where the contract holds an audit back for a holder's word, nobody is taken to be missing before it could be opened. */
function patienceMs({ task, round, secure, disputedMs }: SecureView): number {
  if (round.state === 'aggregated') {
    return Math.max(secureTermsOf(task).receiptMs, task.deadlines.roundMs);
  }
  const mayBeAudited = round.state === 'scored' && secure.opening.arbiter !== undefined && disputedMs === undefined;
  return stepPatienceMs(task) + (mayBeAudited ? ledgerPatienceMs(task) : 0);
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
