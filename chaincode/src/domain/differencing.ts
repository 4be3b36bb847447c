// SPDX-License-Identifier: Apache-2.0
import { ContractError, fewestRemaining, MAX_SHOWN_ATTEMPTS, type WeightedCohort } from '../api';

/**
 * Checks that a sum may be shown beside one of the same round that was: a vehicle that trains again from the same base
 * reports the same update again, so that whoever has both sums can subtract a multiple of one from the other. What then
 * remains must be nothing, or hold the reports of as many vehicles as a cohort at least.
 *
 * @param shown - the cohorts of the attempts whose sums may have been shown.
 * @throws ContractError BASE_BURNED, COHORT_TOO_CLOSE
 */
export function checkDifference(shown: readonly WeightedCohort[], next: WeightedCohort, minimum: number): void {
  if (shown.length >= MAX_SHOWN_ATTEMPTS) {
    throw new ContractError('BASE_BURNED', `sums of ${shown.length} attempts were shown`);
  }
  for (const before of shown) {
    const remaining = fewestRemaining(before, next);
    if (remaining > 0 && remaining < minimum) {
      const detail = `a difference of the sums would show ${remaining} vehicles; at least ${minimum} or none may remain`;
      throw new ContractError('COHORT_TOO_CLOSE', detail);
    }
  }
}
