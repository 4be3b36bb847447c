// SPDX-License-Identifier: Apache-2.0
import { SecureError } from '../errors.js';
import type { FixedPoint } from '../fixed-point.js';

/**
 * Why a vehicle counts less than its class:
 * - `RANGE_EXCEEDED`: a projection that no vector within twice the clip can have; weight 0.
 * - `NORM_SCALED`: its norm is estimated above the clip; its weight is smaller in proportion, or less (see `evenOut`).
 * - `NORM_EXCEEDED`: so far above that no whole weight is left; weight 0.
 */
export type WeightReason = 'NORM_SCALED' | 'RANGE_EXCEEDED' | 'NORM_EXCEEDED';

/** What a rule decides from, vehicles in the order of the cohort. */
export interface WeightInput {
  /** a: the public weight of each vehicle's class. */
  readonly classWeights: readonly number[];
  /** For each vehicle its K opened projections ⟨u, v_k⟩ in units of 2^−f. */
  readonly projections: readonly Int32Array[];
  readonly format: FixedPoint;
  /** ‖v_k‖, K of them. */
  readonly vectorNorms: readonly number[];
}

/** For each vehicle, in the same order. */
export interface Weights {
  readonly weights: number[];
  readonly reasons: (WeightReason | undefined)[];
}

/**
 * How the projections of a cohort become public integer weights. Deterministic (only operations that IEEE 754 rounds
 * correctly), because every attester recomputes it. One rule a file.
 */
export interface WeightRule {
  readonly name: string;
  /**
   * @returns weights from 0 to the class's.
   * @throws SecureError SECURE_OPTION_INVALID where the shapes do not fit.
   */
  weigh(input: WeightInput): Weights;
}

/**
 * Whether some |⟨u, v_k⟩| > 2^f · 2C · ‖v_k‖. By Cauchy-Schwarz no vector of norm up to 2C has such a projection; a vector
 * that wraps the ring has one with probability about ½ for every k.
 */
export function exceedsRange(projections: Int32Array, { format, vectorNorms }: WeightInput): boolean {
  const range = 2 * format.clip * 2 ** format.fractionBits;
  return projections.some((value, k) => Math.abs(value) > range * (vectorNorms[k] as number));
}

/** @throws SecureError SECURE_OPTION_INVALID */
export function checkShapes({ classWeights, projections, vectorNorms }: WeightInput): void {
  if (
    projections.length !== classWeights.length ||
    projections.some((values) => values.length !== vectorNorms.length)
  ) {
    throw new SecureError(
      'SECURE_OPTION_INVALID',
      `${String(classWeights.length)} vehicles need as many rows of ${String(vectorNorms.length)} projections`,
    );
  }
}
