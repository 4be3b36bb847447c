// SPDX-License-Identifier: Apache-2.0
import { squaredDistance } from '../../vectors.js';
import { scaleToClip, type NormReason } from './norm-scaling.js';
import { checkShapes, needProjections, weightsOf, type Ruled, type WeightRule } from './rule.js';

/** f: one in so many vehicles is taken to be hostile, and left out whether it is or not. */
const ONE_HOSTILE_IN = 4;

/**
 * Multi-Krum (Blanchard, El Mhamdi, Guerraoui and Stainer, 2017, section 4) on the projections, which keep distances
 * (Johnson-Lindenstrauss): a vehicle's score is the sum of its squared distances to its n − f − 2 nearest; the n − f
 * vehicles of the lowest scores count.
 */
export const multiKrum: WeightRule<NormReason | 'OUTVOTED'> = {
  name: 'multi-krum',
  needsReference: false,
  weigh(input) {
    checkShapes(input);
    needProjections('multi-krum', input);
    const { projections, classWeights } = input;
    const hostile = Math.floor(projections.length / ONE_HOSTILE_IN);
    const scores = krumScores(projections, Math.max(1, projections.length - hostile - 2));
    const kept = [...scores].sort((a, b) => a - b)[projections.length - hostile - 1] ?? 0;
    return weightsOf(
      projections.map((values, i): Ruled<NormReason | 'OUTVOTED'> => {
        const scaled = scaleToClip(values, classWeights[i] ?? 0, input);
        const isOut = scaled.weight > 0 && (scores[i] ?? 0) > kept;
        return isOut ? { weight: 0, reason: 'OUTVOTED' } : scaled;
      }),
    );
  },
};

/** Sum of the squared distances of each to its nearest so many others. */
function krumScores(vectors: readonly Int32Array[], nearest: number): number[] {
  return vectors.map((own, i) =>
    vectors
      .filter((_, j) => j !== i)
      .map((other) => squaredDistance(own, other))
      .sort((a, b) => a - b)
      .slice(0, nearest)
      .reduce((sum, value) => sum + value, 0),
  );
}
