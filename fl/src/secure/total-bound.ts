// SPDX-License-Identifier: Apache-2.0
import { SecureError } from './errors.js';
import { roundedBound, type FixedPoint } from './fixed-point.js';

/** Honest noise is longer than its bound with probability e^(−72) at the most. */
const NOISE_TAIL = 12;

/** What an opened total may be made of. */
export interface TotalTerms {
  readonly format: FixedPoint;
  /** d: so many values of the total are the update's; those behind are metrics. */
  readonly parameters: number;
  /** W: sum of the weights that went into the total. */
  readonly weight: number;
  /** n: how many added noise. */
  readonly noises: number;
  /** σ of each noise in units of 2^−f; 0 without. */
  readonly noiseDeviation: number;
}

/**
 * Bound on the Euclidean norm of an honest total's d update values, W · {@link roundedBound} + √n · σ · (√d + 12): noise is
 * sub-Gaussian with variance proxy n σ², so its norm exceeds √n σ (√d + √(2t)) with probability at most e^(−t). (Hsu, Kakade,
 * Zhang, "A tail inequality for quadratic forms of subgaussian random vectors", 2012, theorem 1)
 */
export function totalBound({ format, parameters, weight, noises, noiseDeviation }: TotalTerms): number {
  const noise = Math.sqrt(noises) * noiseDeviation * (Math.sqrt(parameters) + NOISE_TAIL);
  return weight * roundedBound(format, parameters) + noise;
}

/**
 * Refuses a total that vehicles and noise within their bounds cannot add up to. For where no single vehicle is measured: one
 * that sends anything is told from its total alone, and moves a model by no more than the bound.
 *
 * @param total d update values; what follows them (metrics) is left alone.
 * @throws SecureError TOTAL_OUT_OF_BOUND
 */
export function checkTotal(total: Float64Array, terms: TotalTerms): void {
  const bound = totalBound(terms);
  const norm = Math.sqrt(total.subarray(0, terms.parameters).reduce((sum, value) => sum + value * value, 0));
  if (norm > bound) {
    const detail = `its norm is ${String(Math.round(norm))}, that of honest ones at most ${String(Math.ceil(bound))}`;
    throw new SecureError('TOTAL_OUT_OF_BOUND', detail);
  }
}
