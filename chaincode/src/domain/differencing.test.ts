// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { smallestGroup, weightedBy, type WeightedCohort } from '../api';
import { expectThrown } from '../testing/refusal';
import { checkDifference } from './differencing';

const cohort = (weights: readonly number[], from = 0): WeightedCohort =>
  weightedBy(
    weights.map((_, index) => ({ vehicleId: `v-${from + index}` })),
    weights,
  );
const equal = (size: number, from = 0): WeightedCohort => cohort(Array<number>(size).fill(1), from);

describe('Two sums on one base model', () => {
  const MINIMUM = 3;
  const check = (first: WeightedCohort, second: WeightedCohort) => (): void => {
    checkDifference([first], second, MINIMUM);
  };

  it('may be of the same vehicles with the same weights, or with multiples of them', () => {
    check(equal(5), equal(5))();
    check(cohort([2, 2, 2, 4, 4, 4]), cohort([4, 4, 4, 8, 8, 8]))();
    checkDifference([], equal(5), MINIMUM);
  });

  it('may differ in as many vehicles as a cohort has, or have none in common', () => {
    check(equal(5), equal(8))();
    check(equal(8), equal(5))();
    check(equal(6), equal(6, 3))();
    check(equal(3), equal(3, 10))();
  });

  it('are refused where fewer would remain', () => {
    expectThrown(check(equal(5), equal(6)), 'COHORT_TOO_CLOSE');
    expectThrown(check(equal(7), equal(5)), 'COHORT_TOO_CLOSE');
    expectThrown(check(equal(5), equal(5, 1)), 'COHORT_TOO_CLOSE');
    expectThrown(check(equal(5), equal(5, 3)), 'COHORT_TOO_CLOSE');
  });

  it('are refused where only weights tell a vehicle from the rest', () => {
    expectThrown(check(cohort([4, 4, 4, 4]), cohort([4, 4, 4, 3])), 'COHORT_TOO_CLOSE');
    expectThrown(check(cohort([4, 4, 4, 4]), cohort([2, 2, 2, 4])), 'COHORT_TOO_CLOSE');
    expectThrown(check(cohort([1, 1, 1, 1]), cohort([1, 1, 1, 0])), 'COHORT_TOO_CLOSE');
    check(cohort([4, 4, 4, 4, 0]), cohort([4, 4, 4, 4, 0, 0]))();
  });

  it('are refused where a vehicle is alone in another shard', () => {
    const sharded = (shards: readonly number[]): WeightedCohort =>
      new Map(shards.map((shard, index) => [`v-${index}`, { shard, weight: 4 }]));
    check(sharded([0, 0, 0, 1, 1, 1]), sharded([1, 1, 1, 0, 0, 0]))();
    expectThrown(check(sharded([0, 0, 0, 1, 1, 1]), sharded([0, 0, 1, 1, 1, 0])), 'COHORT_TOO_CLOSE');
  });

  it('are two at the most', () => {
    expectThrown(() => {
      checkDifference([equal(5), equal(5)], equal(5), MINIMUM);
    }, 'BASE_BURNED');
  });
});

describe('A single sum', () => {
  it('is refused where one vehicle alone has a weight, which a remainder of the sum would show', () => {
    const weights = [...Array<number>(19).fill(21), 64];
    expectThrown(() => {
      checkDifference([], cohort(weights), 3);
    }, 'COHORT_TOO_CLOSE');
    checkDifference([], cohort([21, 21, 21, 64, 64, 64, 0]), 3);
  });

  it('has groups of whom it counts alike, and nobody else', () => {
    expect(smallestGroup([cohort([4, 4, 0, 4])])).to.equal(3);
    expect(smallestGroup([cohort([4, 4, 0, 4]), cohort([4, 2, 0, 4])])).to.equal(1);
    expect(smallestGroup([cohort([0, 0])])).to.equal(Infinity);
  });

  it('never shows fewer in any combination with another, modulo anything, where both are allowed', () => {
    const random = sequence(11);
    let allowed = 0;
    for (let trial = 0; trial < 2_000; trial++) {
      const minimum = 1 + random(4);
      const palette = [0, 4, 6, 20, 21, 64];
      const groups = 1 + random(4);
      const place = Array.from({ length: 12 }, () => random(groups));
      const sums = [0, 1].map(() => {
        const weights = Array.from({ length: groups }, () => palette[random(palette.length)] ?? 0);
        return place.map((group) => (random(40) === 0 ? 64 : (weights[group] ?? 0)));
      });
      if (smallestGroup(sums.map((weights) => cohort(weights))) < minimum) {
        continue;
      }
      allowed += 1;
      for (let modulus = 2; modulus < 90; modulus++) {
        const [a, b] = [random(modulus), random(modulus)];
        const left = place.filter((_, i) => (a * (sums[0]?.[i] ?? 0) + b * (sums[1]?.[i] ?? 0)) % modulus !== 0).length;
        expect(left === 0 || left >= minimum, `${left} of at least ${minimum}`).to.equal(true);
      }
    }
    expect(allowed).to.be.greaterThan(100);
  });
});

/** A linear congruential sequence, so that a failure can be repeated. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
