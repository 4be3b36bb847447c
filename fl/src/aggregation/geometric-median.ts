// SPDX-License-Identifier: Apache-2.0
import { checkUpdates } from './checked.js';
import type { AggregationRule } from './rule.js';

/** Steps of Weiszfeld's algorithm; the paper needs three. */
const STEPS = 8;
/** ν: a distance below it counts as it, so that a step never divides by 0. */
const SMOOTHING = 1e-6;

/**
 * Geometric median by the smoothed Weiszfeld algorithm (Pillutla, Kakade and Harchaoui, "Robust aggregation for federated
 * learning", 2019, algorithm 2): vehicles weighted by the reciprocal of their distance to the last estimate. In double
 * precision, rounded once to float32. Vehicles count alike.
 */
export const geometricMedian: AggregationRule = {
  name: 'geometric-median',
  aggregate(base, updates) {
    checkUpdates(base, updates);
    const points = updates.map(({ parameters }) => parameters);
    let estimate = weightedMean(points, () => 1);
    for (let step = 0; step < STEPS; step++) {
      const last = estimate;
      estimate = weightedMean(points, (point) => 1 / Math.max(SMOOTHING, distance(point, last)));
    }
    return Float32Array.from(estimate);
  },
};

function weightedMean(points: readonly Float32Array[], weightOf: (point: Float32Array) => number): Float64Array {
  const sum = new Float64Array(points[0]?.length ?? 0);
  let total = 0;
  for (const point of points) {
    const weight = weightOf(point);
    total += weight;
    for (let i = 0; i < sum.length; i++) {
      sum[i] = (sum[i] as number) + weight * (point[i] as number);
    }
  }
  return sum.map((value) => value / total);
}

function distance(a: Float32Array, b: Float64Array): number {
  let squares = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    squares += difference * difference;
  }
  return Math.sqrt(squares);
}
