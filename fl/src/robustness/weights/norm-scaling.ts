// SPDX-License-Identifier: Apache-2.0
import { estimateNorm } from '../evidence.js';
import {
  checkShapes,
  exceedsRange,
  needProjections,
  weightsOf,
  type Ruled,
  type WeightInput,
  type WeightRule,
} from './rule.js';

/**
 * An honest norm of C is estimated higher than 1.25 C with probability P(χ²₈ > 12.5) = .13 at K = 8, and then loses a
 * little weight; a norm of 3 C is estimated lower with probability P(χ²₈ < 1.39) = .006.
 */
const TOLERANCE = 1.25;

/**
 * From this class weight on the rule never lowers an honest vehicle to 0: it would take an estimate above 4 C, which has
 * probability P(χ²₈ > 128) < 10^−23 at K = 8. Evening out may, where too few others are scaled like it; see `evenOut`.
 */
export const LEAST_SCALABLE_WEIGHT = 4;

export type NormReason = 'NORM_SCALED' | 'RANGE_EXCEEDED' | 'NORM_EXCEEDED';

/**
 * Bounds what a vehicle adds to the sum without trusting its own clipping. E⟨u, v⟩² = ‖u‖² / 2, so
 *
 *   N = √2 · √(Σ_k ⟨u, v_k⟩² / K) / 2^f     estimates ‖u‖ (Johnson-Lindenstrauss)
 *   weight = a                              where N ≤ 1.25 C
 *   weight = ⌊a · C / N⌋                    above, NORM_SCALED; NORM_EXCEEDED where that is 0
 *   weight = 0                              out of range, RANGE_EXCEEDED
 *
 * Class weights should be {@link LEAST_SCALABLE_WEIGHT} or more, or whole numbers scale too coarsely.
 */
export const normScaling: WeightRule<NormReason> = {
  name: 'norm-scaling',
  needsReference: false,
  weigh(input) {
    checkShapes(input);
    needProjections('norm-scaling', input);
    return weightsOf(
      input.projections.map((values, vehicle) => scaleToClip(values, input.classWeights[vehicle] ?? 0, input)),
    );
  },
};

/** One vehicle by {@link normScaling}. */
export function scaleToClip(
  projections: Int32Array,
  classWeight: number,
  input: Pick<WeightInput, 'format' | 'vectorNorms'>,
): Ruled<NormReason> {
  if (exceedsRange(projections, input)) {
    return { weight: 0, reason: 'RANGE_EXCEEDED' };
  }
  const { clip, fractionBits } = input.format;
  const norm = estimateNorm(projections) / 2 ** fractionBits;
  if (norm <= TOLERANCE * clip) {
    return { weight: classWeight, reason: undefined };
  }
  const weight = Math.floor((classWeight * clip) / norm);
  return { weight, reason: weight === 0 ? 'NORM_EXCEEDED' : 'NORM_SCALED' };
}
