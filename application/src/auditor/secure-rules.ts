// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, type RoundState, type SecureRound } from '@sev/chaincode/api';
import type { Audited } from './records.js';
import { cohortFixed } from './secure-cohort-rules.js';
import { disputeOpened, disputeSettled } from './secure-dispute-rules.js';
import { auditOf, requireSettled, scoresOf, stepError, type SecureAudit, type SecureStep } from './secure-step.js';
import { requireUnrefuted, requireVerified, roundScored, sumsCommitted } from './secure-sum-rules.js';

/** Transactions that change what a secure round carries. */
export const SECURE_STEPS: ReadonlySet<string> = new Set(
  ['OpenRound', 'FixCohort', 'ScoreRound', 'CommitSums', 'CommitHeSum', 'OpenDispute', 'SettleDispute'].map(
    (t) => `learning:${t}`,
  ),
);

/** What a step must come to, computed from what was asked for and what was on the ledger. */
type Rule = (audit: SecureAudit) => SecureRound;

const RULES: Readonly<Record<string, Rule>> = {
  'closed → cohort by learning:FixCohort': cohortFixed,
  'cohort → scored by learning:ScoreRound': roundScored,
  'scored → aggregated by learning:CommitSums': sumsCommitted,
  ...Object.fromEntries(
    (['cohort', 'scored', 'aggregated'] satisfies RoundState[]).flatMap((state): [string, Rule][] => [
      [`${state} → ${state} by learning:OpenDispute`, disputeOpened],
      [`${state} → ${state} by learning:SettleDispute`, disputeSettled],
    ]),
  ),
};

/**
 * Checks a step of a secure round by doing it again.
 *
 * @param step - `cohort → scored by learning:ScoreRound`
 * @returns false where there is no such step.
 * @throws AuditError naming what does not hold.
 */
export function checkSecureStep(step: string, input: SecureStep): boolean {
  const rule = RULES[step];
  if (rule === undefined) {
    return false;
  }
  const audit = auditOf(input);
  const { transaction, record, before } = input;
  const expected = rule(audit);
  const stateSinceMs = record.state === before.state ? before.stateSinceMs : transaction.timestampMs;
  if (canonicalJson(record.secure) !== canonicalJson(expected) || record.stateSinceMs !== stateSinceMs) {
    throw stepError(audit, 'RECORD_MALFORMED', 'the record is not what follows from what was asked for');
  }
  return true;
}

/**
 * Checks that a secure round may become final: over its cohort, with no dispute open, no verdict against what the model is
 * made of, and nothing of it on the word of one aggregator. Attestations are checked as in plain mode.
 *
 * @returns the scores of the attempt.
 * @throws AuditError COHORT_MISMATCH, DISPUTE_INVALID, SUMS_INVALID, RECORD_UNKNOWN
 */
export function checkSecureEnd(input: SecureStep): Audited<'scores'> {
  const audit = auditOf(input);
  const { secure, record } = audit;
  const { proposal } = record;
  const isCovered = proposal?.cohortHash === secure.cohortHash && proposal?.cohortSize === secure.cohortSize;
  if (!isCovered || proposal?.excluded.length !== 0) {
    throw stepError(audit, 'COHORT_MISMATCH', 'the proposal is not over the cohort that was fixed');
  }
  requireSettled(audit);
  requireUnrefuted(audit);
  requireVerified(audit);
  return scoresOf(audit);
}
