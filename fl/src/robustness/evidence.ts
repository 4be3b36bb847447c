// SPDX-License-Identifier: Apache-2.0
import type { Reference, RoundProjections } from './weights/rule.js';

/** What follows from the opened numbers of a round. All of it deterministic: sums, products, quotients, square roots. */

/** √2 · √(mean of squares): the norm of what was projected, in the unit of the projections. 0 for none. */
export function estimateNorm(projections: Int32Array): number {
  return projections.length === 0 ? 0 : Math.sqrt((2 * squaresOf(projections)) / projections.length);
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

/**
 * Cosine of every two vehicles' projections over several rounds taken as one long vector. In each round a vehicle's
 * projections count with length 1: rounds weigh alike, however the updates shrink.
 *
 * @param rounds with one entry for each vehicle; rounds in which one of two took no part do not count for them.
 * @returns count × count, row-major; 0 where two have no round in common.
 */
export function similarities(rounds: readonly RoundProjections[], count: number): Float64Array {
  const sums = new Float64Array(count * count);
  const common = new Uint32Array(count * count);
  for (const round of rounds) {
    const units = round.map((values) => (values === undefined ? undefined : unitOf(values)));
    for (let i = 0; i < count; i++) {
      for (let j = i + 1; j < count; j++) {
        const [one, other] = [units[i], units[j]];
        if (one !== undefined && other !== undefined) {
          const at = i * count + j;
          sums[at] = (sums[at] as number) + dot(one, other);
          common[at] = (common[at] as number) + 1;
        }
      }
    }
  }
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      const rounds = common[i * count + j] as number;
      const mean = rounds === 0 ? 0 : (sums[i * count + j] as number) / rounds;
      sums[i * count + j] = mean;
      sums[j * count + i] = mean;
    }
  }
  return sums;
}

/** The lower middle one of some numbers; 0 for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}

function unitOf(values: Int32Array): Float64Array {
  const length = Math.sqrt(squaresOf(values));
  return Float64Array.from(values, (value) => (length === 0 ? 0 : value / length));
}

function squaresOf(values: Int32Array): number {
  let squares = 0;
  for (let k = 0; k < values.length; k++) {
    squares += (values[k] as number) * (values[k] as number);
  }
  return squares;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) {
    sum += (a[k] as number) * (b[k] as number);
  }
  return sum;
}
