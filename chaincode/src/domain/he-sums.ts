// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  type CommitHeSum,
  type FinaliseRound,
  type HeMaskedStatement,
  type HeMasksStatement,
  type HeSumStatement,
  type RoundRecord,
} from '../api';
import { attested } from './finalise';
import { heAdvanced, type HeAttempt } from './he-round';
import type { TransitionFacts } from './round';
import { isPast, refOf } from './secure-round';
import { requireSigned } from './statements';

/**
 * cohort → aggregated: the hashes of the sum's ciphertexts, of the sum of masks and of what the sum decrypts to, each signed
 * by its party. From here on both openings may be shown to everybody.
 *
 * @returns the round, the same object where these hashes were committed before.
 * @throws ContractError ROUND_STATE, SUMS_CONFLICT, SIGNATURE_INVALID
 */
export function commitHeSum(attempt: HeAttempt, input: CommitHeSum, facts: TransitionFacts): RoundRecord {
  const { round, terms, he } = attempt;
  const done = isPast(round, 'cohort');
  const { sum, masks, masked } = input;
  const committed = { sumHash: sum.sumHash, masksHash: masks.masksHash, maskedHash: masked.maskedHash };
  if (done) {
    const { sumHash, masksHash, maskedHash } = he;
    if (sumHash !== sum.sumHash || masksHash !== masks.masksHash || maskedHash !== masked.maskedHash) {
      throw new ContractError('SUMS_CONFLICT', 'other hashes were committed before');
    }
    return round;
  }
  const ref = { ...refOf(round, facts.consortium), cohortHash: he.cohortHash ?? '' };
  const { sumHash, masksHash, maskedHash } = committed;
  const bySummer: HeSumStatement = { type: 'sev/he-sum/v1', ...ref, mspId: terms.summer, sumHash };
  const byMaskHolder: HeMasksStatement = { type: 'sev/he-masks/v1', ...ref, mspId: terms.maskHolder, masksHash };
  const content = { ...ref, mspId: terms.keyHolder, sumHash, maskedHash };
  const byKeyHolder: HeMaskedStatement = { type: 'sev/he-masked/v1', ...content };
  requireSigned(bySummer, sum.signature, facts.organisations);
  requireSigned(byMaskHolder, masks.signature, facts.organisations);
  requireSigned(byKeyHolder, masked.signature, facts.organisations);
  return heAdvanced(attempt, 'aggregated', facts.nowMs, committed);
}

/**
 * aggregated → finalised: the proposal covers the cohort that was fixed, and a majority attests that it opened and decoded
 * the same.
 *
 * @throws ContractError COHORT_MISMATCH, STATEMENTS_INSUFFICIENT
 */
export function finaliseHeRound({ round, he }: HeAttempt, input: FinaliseRound, facts: TransitionFacts): RoundRecord {
  const { cohortHash, cohortSize, excluded } = input.proposal;
  if (cohortHash !== he.cohortHash || cohortSize !== he.cohortSize || excluded.length > 0) {
    const fixed = `${he.cohortSize ?? 0} vehicles with hash ${he.cohortHash ?? ''}`;
    throw new ContractError('COHORT_MISMATCH', `the cohort is of ${fixed}, none excluded`);
  }
  return attested(round, input, facts);
}
