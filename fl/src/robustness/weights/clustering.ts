// SPDX-License-Identifier: Apache-2.0
import { comparePairs } from '../evidence.js';
import { scaleToClip, type NormReason } from './norm-scaling.js';
import { checkShapes, needProjections, weightsOf, type Ruled, type WeightRule } from './rule.js';

/**
 * Two clusters by the cosine of accumulated projections, by average linkage; the larger one counts, of two as large the one
 * whose members are more alike. (After Sattler, Müller
 * and Samek, "On the Byzantine robustness of clustered federated learning", 2020, which splits by cosine and keeps the
 * majority.)
 */
export const clustering: WeightRule<NormReason | 'OUTVOTED'> = {
  name: 'clustering',
  needsReference: false,
  weigh(input) {
    checkShapes(input);
    needProjections('clustering', input);
    const { projections, classWeights, past = [] } = input;
    const count = projections.length;
    const cosines = new Float64Array(count * count);
    comparePairs([...past, projections], count, (i, j, cosine) => {
      cosines[i * count + j] = cosine;
      cosines[j * count + i] = cosine;
    });
    const clusters = twoClusters(cosines, count);
    const largest = largestOf(clusters, cosines, count);
    return weightsOf(
      projections.map((values, i): Ruled<NormReason | 'OUTVOTED'> => {
        const scaled = scaleToClip(values, classWeights[i] ?? 0, input);
        const isOut = scaled.weight > 0 && !largest.includes(i);
        return isOut ? { weight: 0, reason: 'OUTVOTED' } : scaled;
      }),
    );
  },
};

function largestOf(clusters: readonly (readonly number[])[], cosines: Float64Array, count: number): readonly number[] {
  const most = Math.max(...clusters.map(({ length }) => length));
  const [first = [], second] = clusters.filter(({ length }) => length === most);
  const likeness = (members: readonly number[]): number => {
    const pairs = members.flatMap((i) => members.map((j) => cosines[i * count + j] ?? 0));
    // In their own order, so that the sum does not depend on that of the vehicles.
    return pairs.sort((a, b) => a - b).reduce((sum, one) => sum + one, 0);
  };
  return second !== undefined && likeness(second) > likeness(first) ? second : first;
}

/**
 * Joins the two clusters of the highest mean cosine until two are left; of several the first in the order of vehicles.
 *
 * @param cosines count × count, row-major.
 */
function twoClusters(cosines: Float64Array, count: number): readonly (readonly number[])[] {
  let clusters = Array.from({ length: count }, (_, i): Cluster => {
    return { members: [i], sums: cosines.slice(i * count, (i + 1) * count) };
  });
  while (clusters.length > 2) {
    const [into, from] = closest(clusters);
    const joined: Cluster = {
      members: [...into.members, ...from.members],
      sums: into.sums.map((sum, j) => sum + (from.sums[j] ?? 0)),
    };
    clusters = clusters.flatMap((one) => (one === into ? [joined] : one === from ? [] : [one]));
  }
  return clusters.map(({ members }) => members);
}

interface Cluster {
  readonly members: readonly number[];
  /** Of its members' cosines to each vehicle. */
  readonly sums: Float64Array;
}

function closest(clusters: readonly Cluster[]): readonly [Cluster, Cluster] {
  let best = -Infinity;
  let pair: readonly [Cluster, Cluster] | undefined;
  clusters.forEach((one, i) => {
    clusters.slice(i + 1).forEach((other) => {
      const mean = meanBetween(one, other);
      if (pair === undefined || mean > best) {
        [best, pair] = [mean, [one, other]];
      }
    });
  });
  if (pair === undefined) {
    throw new RangeError('two clusters are needed');
  }
  return pair;
}

function meanBetween(one: Cluster, other: Cluster): number {
  const sum = other.members.reduce((total, member) => total + (one.sums[member] ?? 0), 0);
  return sum / (one.members.length * other.members.length);
}
