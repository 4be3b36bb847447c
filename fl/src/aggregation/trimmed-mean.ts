// SPDX-License-Identifier: Apache-2.0
import { checkUpdates } from './checked.js';
import type { AggregationRule, WeightedUpdate } from './rule.js';

/** β: one in so many is cut off at either end. */
const ONE_IN = 5;

/**
 * Coordinate-wise trimmed mean (Yin, Chen, Ramchandran and Bartlett, "Byzantine-robust distributed learning", 2018,
 * definition 2): of each coordinate the lowest and the highest fifth are left out. Vehicles count alike: weights that
 * attackers could claim would move the cut.
 */
export const trimmedMean: AggregationRule = {
  name: 'trimmed-mean',
  aggregate: (base, updates) => trimmed(base, updates, Math.floor(updates.length / ONE_IN)),
};

/** Coordinate-wise median (the same paper, definition 1). Vehicles count alike. */
export const coordinateMedian: AggregationRule = {
  name: 'median',
  aggregate: (base, updates) => trimmed(base, updates, (updates.length - 1) >> 1),
};

/** Mean of each coordinate without so many at either end, in double precision, rounded once to float32. */
function trimmed(base: Float32Array, updates: readonly WeightedUpdate[], cut: number): Float32Array {
  checkUpdates(base, updates);
  const kept = updates.length - 2 * cut;
  const column = new Float64Array(updates.length);
  const average = new Float32Array(base.length);
  for (let i = 0; i < average.length; i++) {
    for (let j = 0; j < column.length; j++) {
      column[j] = updates[j]?.parameters[i] ?? 0;
    }
    column.sort();
    let sum = 0;
    for (let j = cut; j < cut + kept; j++) {
      sum += column[j] as number;
    }
    average[i] = sum / kept;
  }
  return average;
}
