// SPDX-License-Identifier: Apache-2.0
import { checkParameters } from '../models/dense.js';
import { SecureError } from './errors.js';
import { ringView } from './ring.js';
import type { RandomSource } from './random.js';

/** How real numbers become integers of the ring. */
export interface FixedPoint {
  /** f: one unit of the ring is 2^−f. */
  readonly fractionBits: number;
  /** C: bound on an update's Euclidean norm, and on the magnitude of a metric. */
  readonly clip: number;
}

/** A draw is refused with probability at most e^(−1/2) (see {@link roundedBound}): 200 in a row have 10^−43. */
const MAX_DRAWS = 200;

/**
 * The update shortened to Euclidean norm at most C: u · min(1, C / ‖u‖). (Abadi et al., "Deep learning with
 * differential privacy", 2016, algorithm 1)
 *
 * @param update length d; left as it is.
 * @returns a new array of length d.
 * @throws ModelError MODEL_NOT_FINITE
 */
export function clipTo(update: Float32Array, clip: number): Float32Array {
  const norm = euclidean(update);
  if (!Number.isFinite(norm)) {
    // Squares of float32 and their sum stay within double precision: one of the values is none.
    checkParameters(update, update.length);
  }
  if (norm <= clip) {
    return update.slice();
  }
  // Rounding to float32 lengthens a coordinate by a factor of at most 1 + 2^−24; this keeps the norm below C.
  const factor = (clip / norm) * (1 - 2 ** -23);
  const clipped = new Float32Array(update.length);
  for (let i = 0; i < clipped.length; i++) {
    clipped[i] = (update[i] as number) * factor;
  }
  return clipped;
}

/**
 * Clips, multiplies by 2^f and rounds each coordinate x to ⌊x + U⌋, U uniform in [0, 1): up with probability x − ⌊x⌋,
 * so without bias. Draws anew until the integer vector's norm is within {@link roundedBound}. (Kairouz, Liu, Steinke, "The
 * distributed discrete Gaussian mechanism for federated learning with secure aggregation", 2021, algorithm 1 and
 * definition of conditional rounding)
 *
 * U has 32 bits: a coordinate's mean is off by less than 2^−32 units, and by 2^−52 |x| of double precision.
 *
 * @param update length d.
 * @returns length d, two's complement.
 * @throws ModelError MODEL_NOT_FINITE; SecureError ROUNDING_FAILED
 */
export function encodeUpdate(update: Float32Array, format: FixedPoint, random: RandomSource): Uint32Array {
  const clipped = clipTo(update, format.clip);
  const scale = 2 ** format.fractionBits;
  const bound = roundedBound(format, clipped.length) ** 2;
  const encoded = new Uint32Array(clipped.length);
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const uniform = ringView(random.nextBytes(4 * clipped.length), clipped.length);
    let squares = 0;
    for (let i = 0; i < encoded.length; i++) {
      const rounded = Math.floor((clipped[i] as number) * scale + (uniform[i] as number) * 2 ** -32);
      squares += rounded * rounded;
      encoded[i] = rounded;
    }
    if (squares <= bound) {
      return encoded;
    }
  }
  throw new SecureError('ROUNDING_FAILED', `${String(MAX_DRAWS)} draws left the bound; check the source of randomness`);
}

/**
 * Bound on the norm of an encoded update in units of 2^−f, with c = 2^f · C and β = e^(−1/2):
 *
 *   min{ c + √d,  √(c² + d/4 + √(2 ln(1/β)) · (c + √d/2)) }
 *
 * (Kairouz, Liu, Steinke 2021, theorem 1 and proposition on conditional rounding, granularity γ = 1.) A rounding stays
 * within it with probability at least 1 − β.
 *
 * @param length d.
 */
export function roundedBound(format: FixedPoint, length: number): number {
  const c = format.clip * 2 ** format.fractionBits;
  const root = Math.sqrt(length);
  return Math.min(c + root, Math.sqrt(c * c + length / 4 + c + root / 2));
}

/**
 * A metric as an integer in units of 2^−f, rounded to the nearest and cut at ±C: the caller chooses a unit in which it
 * is below C. It may be put into a Uint32Array as it is, which takes it modulo 2^32.
 *
 * @throws SecureError SECURE_OPTION_INVALID where it is NaN.
 */
export function encodeMetric(value: number, format: FixedPoint): number {
  if (Number.isNaN(value)) {
    throw new SecureError('SECURE_OPTION_INVALID', 'a metric is not a number');
  }
  return Math.round(Math.max(-format.clip, Math.min(format.clip, value)) * 2 ** format.fractionBits);
}

/**
 * The weighted mean: total / (2^f · Σ weights), computed in double precision, rounded once to float32.
 *
 * @param total the opened sum, or exact sums of several shards' totals.
 * @param weights Σ of the weights that went into it, from 1 on.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function decodeTotal(total: Float64Array | Int32Array, weights: number, format: FixedPoint): Float32Array {
  if (!Number.isInteger(weights) || weights < 1) {
    throw new SecureError('SECURE_OPTION_INVALID', `a sum of weights of ${String(weights)} has no mean`);
  }
  const divisor = weights * 2 ** format.fractionBits;
  const mean = new Float32Array(total.length);
  for (let i = 0; i < mean.length; i++) {
    mean[i] = (total[i] as number) / divisor;
  }
  return mean;
}

function euclidean(values: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    squares += (values[i] as number) * (values[i] as number);
  }
  return Math.sqrt(squares);
}
