// SPDX-License-Identifier: Apache-2.0
import { similarities } from '../evidence.js';
import { scaleToClip, type NormReason } from './norm-scaling.js';
import { checkShapes, needProjections, weightsOf, type Ruled, type WeightRule } from './rule.js';

/**
 * Two clusters by the cosine of accumulated projections, by average linkage; the larger one counts. (After Sattler, Müller
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
    const clusters = twoClusters(similarities([...past, projections], count), count);
    const largest = clusters.reduce((best, one) => (one.length > best.length ? one : best), []);
    return weightsOf(
      projections.map((values, i): Ruled<NormReason | 'OUTVOTED'> => {
        const scaled = scaleToClip(values, classWeights[i] ?? 0, input);
        const isOut = scaled.weight > 0 && !largest.includes(i);
        return isOut ? { weight: 0, reason: 'OUTVOTED' } : scaled;
      }),
    );
  },
};

/**
 * Joins the two clusters of the highest mean cosine until two are left; of several the first in the order of vehicles.
 *
 * @param cosines count × count, row-major.
 */
function twoClusters(cosines: Float64Array, count: number): readonly (readonly number[])[] {
  let clusters: (readonly number[])[] = Array.from({ length: count }, (_, i) => [i]);
  // Sums of cosines between clusters, kept up to date: those of a joined cluster add up.
  const sums = clusters.map((_, i) => Float64Array.from(cosines.subarray(i * count, (i + 1) * count)));
  const alive = new Set(clusters.keys());
  while (alive.size > 2) {
    let [best, from, into] = [-Infinity, 0, 0];
    for (const i of alive) {
      for (const j of alive) {
        const mean = (sums[i]?.[j] ?? 0) / ((clusters[i]?.length ?? 1) * (clusters[j]?.length ?? 1));
        if (i < j && mean > best) {
          [best, into, from] = [mean, i, j];
        }
      }
    }
    clusters = clusters.map((one, i) => (i === into ? [...one, ...(clusters[from] ?? [])] : one));
    alive.delete(from);
    for (const other of alive) {
      const joined = (sums[into]?.[other] ?? 0) + (sums[from]?.[other] ?? 0);
      (sums[into] as Float64Array)[other] = joined;
      (sums[other] as Float64Array)[into] = joined;
    }
  }
  return [...alive].map((i) => clusters[i] ?? []);
}
