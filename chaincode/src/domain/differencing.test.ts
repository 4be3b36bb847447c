// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { cohortDifferenceProblem, smallestGroup, weightedBy, withoutOpened, type WeightedCohort } from '../api';
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

  it('are compared without vehicles that were opened by vote, which hide nobody', () => {
    const opened = new Set(['v-0']);
    const left = (sum: WeightedCohort): WeightedCohort => withoutOpened(sum, opened);
    expectThrown(check(equal(5), equal(4, 1)), 'COHORT_TOO_CLOSE');
    check(left(equal(5)), left(equal(4, 1)))();
    expectThrown(check(left(equal(3)), left(equal(3))), 'COHORT_TOO_CLOSE');
    expectThrown(check(left(equal(5)), left(equal(3, 2))), 'COHORT_TOO_CLOSE');
  });

  it('are two at the most', () => {
    expectThrown(() => {
      checkDifference([equal(5), equal(5)], equal(5), MINIMUM);
    }, 'BASE_BURNED');
  });
});

describe('A cohort on a base of which sums were shown', () => {
  const members = (...ranges: readonly (readonly [from: number, to: number])[]): { vehicleId: string }[] =>
    ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => ({ vehicleId: `v-${from + i}` })));
  const codeOf = (shown: WeightedCohort, cohort: { vehicleId: string }[], minimum: number): string | undefined =>
    cohortDifferenceProblem([shown], cohort, minimum)?.code;

  it('may be the same, or without some where as many as the minimum stay out and are left', () => {
    expect(codeOf(equal(20), members([0, 20]), 10)).to.equal(undefined);
    expect(codeOf(equal(20), members([0, 19]), 10)).to.equal(undefined);
    expect(codeOf(equal(19), members([0, 18]), 10)).to.equal('COHORT_TOO_CLOSE');
    expect(codeOf(equal(19), members([0, 18]), 6)).to.equal(undefined);
    expect(codeOf(equal(20), members([0, 9]), 10)).to.equal('COHORT_TOO_CLOSE');
  });

  it('may be of as many others as the minimum, whoever of those that counted is there', () => {
    expect(codeOf(equal(5), members([0, 2], [5, 8]), 3)).to.equal(undefined);
    expect(codeOf(equal(5), members([0, 2], [5, 7]), 3)).to.equal('COHORT_TOO_CLOSE');
  });

  it('is judged by who counted alike, as the sums are: of two classes half of each cannot count', () => {
    const shown = cohort([...Array<number>(10).fill(4), ...Array<number>(10).fill(64)]);
    expect(codeOf(shown, members([0, 5], [10, 15]), 10)).to.equal('COHORT_TOO_CLOSE');
    expect(codeOf(shown, members([0, 10]), 10), 'all of one class and none of the other').to.equal(undefined);
    expect(codeOf(shown, members([0, 15]), 10), 'all of one class').to.equal(undefined);
    expect(codeOf(shown, members([0, 5], [10, 15]), 5)).to.equal(undefined);
  });

  it('passes exactly where some weights keep the rule', () => {
    const random = sequence(5);
    const seen = { passed: 0, refused: 0 };
    for (let trial = 0; trial < 1_500; trial++) {
      const minimum = 1 + random(3);
      const shown = cohort(Array.from({ length: 7 }, () => [0, 4, 64][random(3)] ?? 0));
      if (smallestGroup([shown]) < minimum) {
        continue;
      }
      const there = members([0, 9]).filter(() => random(3) > 0);
      const keepsRule = (bits: number): boolean => {
        const weights = there.map((_, index) => (bits >> index) & 1);
        const counted = weights.filter((weight) => weight > 0).length;
        return counted >= minimum && smallestGroup([shown, weightedBy(there, weights)]) >= minimum;
      };
      const exists = Array.from({ length: 2 ** there.length }, (_, bits) => bits).some(keepsRule);
      expect(codeOf(shown, there, minimum) === undefined, `trial ${trial}`).to.equal(exists);
      seen[exists ? 'passed' : 'refused'] += 1;
    }
    expect(Math.min(seen.passed, seen.refused)).to.be.greaterThan(10);
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
