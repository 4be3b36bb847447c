// SPDX-License-Identifier: Apache-2.0
import { errorCode } from './log.js';

/** Another organisation's coordinator, a vehicle or the clock was first: look at the ledger again. */
const OVERTAKEN: ReadonlySet<string> = new Set([
  'ROUND_UNKNOWN',
  'ROUND_CONFLICT',
  'ROUND_OUT_OF_ORDER',
  'ROUND_STATE',
  'ROUND_STALE',
  'ROUND_DEADLINE_PASSED',
  'ROUND_DEADLINE_NOT_REACHED',
  'COHORT_MISMATCH',
  'COHORT_TOO_SMALL',
  'COHORT_TOO_CLOSE',
  'COHORT_TOO_LARGE',
  'COHORT_CONFLICT',
  'SCORES_CONFLICT',
  'SUMS_CONFLICT',
  'BASE_BURNED',
  'DISPUTE_CONFLICT',
  'DISPUTE_OPEN',
  'DISPUTE_REFUSED',
  'PROJECTIONS_DISAGREE',
  'SUMS_DISAGREE',
  'VERDICT_AGAINST',
  'COMPONENTS_UNVERIFIED',
  'PARTY_MISSING',
  'BASE_MODEL_MISMATCH',
  'STATEMENTS_INSUFFICIENT',
]);

/** Something is down or slow: wait, then look again. */
const TRANSIENT: ReadonlySet<string> = new Set([
  'LEDGER_UNREACHABLE',
  'LEDGER_TIMEOUT',
  'LEDGER_CONFLICT',
  'LEDGER_FAILED',
  'LEDGER_FATE_UNKNOWN',
  'LEDGER_COMMIT_FAILED',
  'STORE_UNREACHABLE',
  'STORE_FAILED',
  'SERVICE_UNREACHABLE',
  'SERVICE_TIMEOUT',
  'SERVICE_BUSY',
  'SHARES_NOT_TAKEN',
  'AGGREGATORS_MISSING',
  'ARBITER_MISSING',
  'VALIDATORS_MISSING',
  'REFERENCES_MISSING',
  'SECOND_WORD_AWAITED',
  'SUMS_UNUSABLE',
  'DISPUTE_UNSETTLED',
  'DISPUTE_UNDECIDABLE',
  'NOISE_FALSE',
  'AGGREGATOR_BEHIND',
  'KEY_HOLDER_LOST',
  'SUMMER_LOST',
  'MASK_HOLDER_LOST',
  'SUM_INVALID',
  'NOISE_EXHAUSTED',
  'CIPHERTEXT_MALFORMED',
  'LEDGER_VIEW_INCONSISTENT',
  'OBJECT_MISSING',
  'CONTENT_HASH_MISMATCH',
]);

/** How a long-running service goes on after a failure: `fatal` ones end it. */
export type FaultKind = 'overtaken' | 'transient' | 'fatal';

export function faultKind(error: unknown): FaultKind {
  const code = errorCode(error) ?? '';
  if (OVERTAKEN.has(code)) {
    return 'overtaken';
  }
  return TRANSIENT.has(code) ? 'transient' : 'fatal';
}
