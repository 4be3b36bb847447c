// SPDX-License-Identifier: Apache-2.0
import type { WeightedCohort } from '../api';
import { expectThrown } from '../testing/refusal';
import { checkDifference } from './differencing';

const cohort = (weights: readonly number[], from = 0): WeightedCohort =>
  new Map(weights.map((weight, index) => [`v-${from + index}`, weight]));
const equal = (size: number, from = 0): WeightedCohort => cohort(Array<number>(size).fill(1), from);

describe('Two sums on one base model', () => {
  const MINIMUM = 3;
  const check = (first: WeightedCohort, second: WeightedCohort) => (): void => {
    checkDifference([first], second, MINIMUM);
  };

  it('may be of the same vehicles with the same weights, or with multiples of them', () => {
    check(equal(5), equal(5))();
    check(cohort([1, 2, 4, 4]), cohort([2, 4, 8, 8]))();
    checkDifference([], equal(5), MINIMUM);
  });

  it('may differ in as many vehicles as a cohort has, or have none in common', () => {
    check(equal(5), equal(8))();
    check(equal(8), equal(5))();
    check(equal(5), equal(5, 2))();
    check(equal(3), equal(3, 10))();
  });

  it('are refused where fewer would remain', () => {
    expectThrown(check(equal(5), equal(6)), 'COHORT_TOO_CLOSE');
    expectThrown(check(equal(7), equal(5)), 'COHORT_TOO_CLOSE');
    expectThrown(check(equal(5), equal(5, 1)), 'COHORT_TOO_CLOSE');
  });

  it('are refused where only weights tell a vehicle from the rest', () => {
    expectThrown(check(cohort([4, 4, 4, 4]), cohort([4, 4, 4, 3])), 'COHORT_TOO_CLOSE');
    expectThrown(check(cohort([4, 4, 4, 4]), cohort([2, 2, 2, 4])), 'COHORT_TOO_CLOSE');
    expectThrown(check(cohort([1, 1, 1, 1]), cohort([1, 1, 1, 0])), 'COHORT_TOO_CLOSE');
    check(cohort([4, 4, 4, 4, 0]), cohort([4, 4, 4, 4, 0, 0]))();
  });

  it('are two at the most', () => {
    expectThrown(() => {
      checkDifference([equal(5), equal(5)], equal(5), MINIMUM);
    }, 'BASE_BURNED');
  });
});
