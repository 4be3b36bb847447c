// SPDX-License-Identifier: Apache-2.0
import { SecureError } from './errors.js';
import { roundedBound, type FixedPoint } from './fixed-point.js';
import type { RingBits } from './ring.js';

/** So many aggregators a task has at the most, each of which may add noise. */
const MAX_NOISES = 7;
/** P(|noise| > 10 deviations) ≤ 2·e^(−50) a coordinate: a discrete Gaussian is sub-Gaussian with its own σ² (CKS20). */
const NOISE_TAIL = 10;

/** What decides whether a sum or a projection may wrap around. */
export interface OverflowTerms {
  readonly format: FixedPoint;
  /** Largest weight of a vehicle. */
  readonly maxWeight: number;
  /** Vehicles in one sum at the most. */
  readonly shardSize: number;
  /** d. */
  readonly length: number;
  /** K. */
  readonly projections: number;
  /** Standard deviation of one aggregator's noise in units of the encoded update; 0 without. */
  readonly noiseDeviation: number;
  /** w, width of the ring; default 32. */
  readonly ringBits?: RingBits;
}

/**
 * Excludes by construction that a sum or a projection wraps around, with A = 2^f · 2C: twice the clipped norm, the
 * range up to which a vehicle is believed and which bounds each of its coordinates too.
 *
 *   roundedBound ≤ A                                   no honest vehicle is out of range
 *   A · maxWeight · shardSize + 10 · √7 · σ < 2^(w−1)  sums of a shard, noise of up to 7 aggregators included
 *   A · √d < 2^31 where K > 0                          projections; ‖v‖ ≤ √d
 *
 * Projections and noise have the ring of 32 bits only.
 *
 * @throws SecureError OVERFLOW_POSSIBLE names the condition that fails; RING_TOO_NARROW, SECURE_OPTION_INVALID
 */
export function checkNoOverflow(terms: OverflowTerms): void {
  checkRanges(terms);
  const { format, maxWeight, shardSize, length, projections, noiseDeviation, ringBits = 32 } = terms;
  const range = 2 * format.clip * 2 ** format.fractionBits;
  const half = 2 ** (ringBits - 1);
  if (ringBits === 16 && (projections > 0 || noiseDeviation > 0)) {
    throw new SecureError('RING_TOO_NARROW', 'open no projections and add no noise, or use the ring of 32 bits');
  }
  if (roundedBound(format, length) > range) {
    throw overflow('an honest update may be rounded out of range: use more fraction bits or a larger clip');
  }
  if (range * maxWeight * shardSize + NOISE_TAIL * Math.sqrt(MAX_NOISES) * noiseDeviation >= half) {
    throw overflow('a sum may leave the ring: use fewer fraction bits, smaller weights, shards or noise');
  }
  if (projections > 0 && range * Math.sqrt(length) >= half) {
    throw overflow('a projection may leave the ring: use fewer fraction bits or a smaller clip');
  }
}

function overflow(detail: string): SecureError {
  return new SecureError('OVERFLOW_POSSIBLE', detail);
}

function checkRanges(terms: OverflowTerms): void {
  const { format, maxWeight, shardSize, length, projections, noiseDeviation } = terms;
  const positive = [maxWeight, shardSize, length].every((value) => Number.isInteger(value) && value >= 1);
  const counts = [projections, format.fractionBits].every((value) => Number.isInteger(value) && value >= 0);
  if (!positive || !counts || !(format.clip > 0) || !(noiseDeviation >= 0)) {
    throw new SecureError(
      'SECURE_OPTION_INVALID',
      'counts are whole numbers, the clip is positive, the noise from 0 on',
    );
  }
}
