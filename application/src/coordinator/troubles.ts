// SPDX-License-Identifier: Apache-2.0
import type { AbortReason } from '@sev/chaincode/api';
import { SevError, messageOf } from '../errors.js';
import { errorCode } from '../services/log.js';

/** Failures of a step after closing that end the attempt when the time of a round has gone by. */
export const STEP_FAILED: Readonly<Record<string, AbortReason>> = {
  STATEMENTS_INSUFFICIENT: 'NO_MAJORITY',
  AGGREGATORS_MISSING: 'AGGREGATORS_MISSING',
  REFERENCES_MISSING: 'AGGREGATORS_MISSING',
  DISPUTE_OPEN: 'DISPUTE_UNSETTLED',
  DISPUTE_UNSETTLED: 'DISPUTE_UNSETTLED',
  KEY_HOLDER_LOST: 'KEY_HOLDER_LOST',
  SUMMER_LOST: 'SUMMER_LOST',
  MASK_HOLDER_LOST: 'MASK_HOLDER_LOST',
  SUM_INVALID: 'SUM_INVALID',
  PARTY_MISSING: 'AGGREGATORS_MISSING',
  NOISE_EXHAUSTED: 'SUM_INVALID',
  CIPHERTEXT_MALFORMED: 'SUM_INVALID',
};

/** Failures of a step after closing that no further try mends. */
export const HOPELESS: Readonly<Record<string, AbortReason>> = {
  COHORT_TOO_SMALL: 'COHORT_TOO_SMALL',
  COHORT_TOO_CLOSE: 'COHORT_TOO_CLOSE',
  COHORT_TOO_LARGE: 'COHORT_TOO_LARGE',
  BASE_BURNED: 'COHORT_TOO_CLOSE',
  VERDICT_AGAINST: 'AGGREGATORS_MISSING',
  SUMS_UNUSABLE: 'AGGREGATORS_MISSING',
  NOISE_FALSE: 'NOISE_FALSE',
  DISPUTE_UNDECIDABLE: 'DISPUTE_UNSETTLED',
};

/** Refusals to open a round that no further attempt mends, and what its operator can do. */
const NEVER_OPENS: Readonly<Record<string, string>> = {
  BASE_BURNED:
    'Sums of two attempts at this round were shown, so a third could show single vehicles, and so could another task from this model: its model stands as it is. A new task begins with an initial model of its own.',
  ATTEMPTS_EXHAUSTED:
    'Three attempts at this round ended after their cohort was fixed: its model stands as it is; `sev audit history round` tells how they ended. A new task begins with an initial model of its own.',
  BASE_TAKEN: 'Another task works from this model: create a task with an initial model of its own.',
  PRIVACY_BUDGET_EXCEEDED: 'The task has spent its privacy: its model stands as it is; see `sev task show`.',
  PROJECTION_BUDGET_EXCEEDED:
    'The task has opened its share of projections: its model stands as it is; see `sev task show`.',
};

/** What a failure to open a round is thrown on as: those that nothing mends end the coordinator. */
export function openingFailure(error: unknown): unknown {
  const code = errorCode(error) ?? '';
  const hint = NEVER_OPENS[code];
  const message = messageOf(error);
  const text = message.includes(code) ? message : `${code}: ${message}`;
  return hint === undefined ? error : new SevError('ROUND_CANNOT_OPEN', text, { hint, cause: error });
}
