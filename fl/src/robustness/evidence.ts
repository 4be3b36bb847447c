// SPDX-License-Identifier: Apache-2.0
import { dot, norm } from '../vectors.js';
import type { Reference, RoundProjections } from './weights/rule.js';

/** What follows from the opened numbers of a round. All of it deterministic: sums, products, quotients, square roots. */

/** √2 · √(mean of squares): the norm of what was projected, in the unit of the projections. 0 for none. */
export function estimateNorm(projections: Int32Array): number {
  return projections.length === 0 ? 0 : Math.sqrt((2 * dot(projections, projections)) / projections.length);
}

/**
 * Cosine of each vehicle's update to the reference direction, its norm estimated: ⟨u, r⟩ / (N ‖r‖). At K = 8 the estimate
 * is off by a quarter (one standard deviation), so a cosine may leave ±1. 0 for an update of zeros.
 */
export function referenceCosines(projections: readonly Int32Array[], { products, norm }: Reference): number[] {
  return projections.map((values, vehicle) => {
    const length = estimateNorm(values);
    return length === 0 ? 0 : (products[vehicle] ?? 0) / (length * norm);
  });
}

/** An estimated norm within this factor of the cohort's median is as likely as not the median itself. */
const USUAL_LENGTH = 2;

/**
 * As {@link referenceCosines}, but where a norm is estimated within a factor of two of the cohort's median, the median is
 * taken for it: updates of a cohort are nearly of one length, and the estimates are not.
 */
export function referencePulls(projections: readonly Int32Array[], { products, norm }: Reference): number[] {
  const norms = projections.map(estimateNorm);
  const usual = median(norms);
  return norms.map((own, vehicle) => {
    const isUsual = own <= USUAL_LENGTH * usual && own >= usual / USUAL_LENGTH;
    const length = isUsual ? usual : own;
    return length === 0 ? 0 : (products[vehicle] ?? 0) / (length * norm);
  });
}

/**
 * Cosine of every two vehicles' projections over several rounds taken as one long vector. In each round the cohort's median
 * is taken away from every projection, because what all have in common says nothing, and what is left counts with length 1:
 * rounds weigh alike, however the updates shrink.
 *
 * @param rounds with one entry for each of `count` vehicles; rounds in which one of two took no part do not count for them.
 * @param act told of every two i < j the cosine, 0 where they have no round in common, and how many they have.
 */
export function comparePairs(
  rounds: readonly RoundProjections[],
  count: number,
  act: (i: number, j: number, cosine: number, common: number) => void,
): void {
  const units = rounds.map(centredUnits);
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      let sum = 0;
      let common = 0;
      for (const round of units) {
        const [one, other] = [round[i], round[j]];
        if (one !== undefined && other !== undefined) {
          sum += dot(one, other);
          common++;
        }
      }
      act(i, j, common === 0 ? 0 : sum / common, common);
    }
  }
}

/** Each vehicle's projections less the cohort's median, at length 1; zeros stay zeros. */
function centredUnits(round: RoundProjections): readonly (Float64Array | undefined)[] {
  const present = round.filter((values) => values !== undefined);
  const middle = Float64Array.from(present[0] ?? [], (_, k) => median(present.map((values) => values[k] ?? 0)));
  return round.map((values) => {
    if (values === undefined) {
      return undefined;
    }
    const centred = Float64Array.from(values, (value, k) => value - (middle[k] ?? 0));
    const length = norm(centred);
    return centred.map((value) => (length === 0 ? 0 : value / length));
  });
}

/** The lower middle one of some numbers; 0 for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}
