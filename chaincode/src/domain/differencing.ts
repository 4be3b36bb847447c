// SPDX-License-Identifier: Apache-2.0
import { ContractError, differenceProblem, type CohortProblem, type WeightedCohort } from '../api';

/** @throws ContractError BASE_BURNED, COHORT_TOO_CLOSE; see {@link differenceProblem}. */
export function checkDifference(shown: readonly WeightedCohort[], next: WeightedCohort, minimum: number): void {
  refuse(differenceProblem(shown, next, minimum));
}

/** @throws ContractError with the problem's code, where there is one. */
export function refuse(problem: CohortProblem | undefined): void {
  if (problem !== undefined) {
    throw new ContractError(problem.code, problem.detail);
  }
}
