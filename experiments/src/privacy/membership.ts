// SPDX-License-Identifier: Apache-2.0
import { predict, type Dataset } from '@sev/fl';

/**
 * Membership inference by the loss: whoever has a model and a record calls it a training record where the error is small.
 * (Yeom et al., "Privacy risk in machine learning: analyzing the connection to overfitting", 2018, adversary 2)
 *
 * @returns the area under the curve over all thresholds: .5 where the error tells nothing, 1 where it tells all.
 */
export function membershipAuc(
  parameters: Float32Array,
  layers: readonly number[],
  { members, others }: { readonly members: Dataset; readonly others: Dataset },
): number {
  const scores = (data: Dataset): number[] =>
    Array.from(predict(parameters, layers, data), (value, row) => -Math.abs(value - (data.y[row] ?? 0)));
  return areaUnderCurve(scores(members), scores(others));
}

/** The probability that a positive scores above a negative, equal scores counting half (Mann and Whitney's U / mn). */
export function areaUnderCurve(positives: readonly number[], negatives: readonly number[]): number {
  if (positives.length === 0 || negatives.length === 0) {
    throw new RangeError('A curve needs positives and negatives');
  }
  const sorted = negatives.toSorted((a, b) => a - b);
  const won = positives.reduce((sum, score) => {
    const below = countBelow(sorted, score, false);
    const notAbove = countBelow(sorted, score, true);
    return sum + (below + notAbove) / 2;
  }, 0);
  return won / (positives.length * negatives.length);
}

/** How many of ascending values are below `limit`, or at most `limit`; bisection. */
function countBelow(sorted: readonly number[], limit: number, inclusive: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const value = sorted[middle] ?? Infinity;
    if (value < limit || (inclusive && value === limit)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
