// SPDX-License-Identifier: Apache-2.0
import type { RandomSource } from '../secure/random.js';
import { PrivacyError } from './errors.js';
import { newUniform, type Uniform } from './uniform.js';

/**
 * Exact samples of the discrete Gaussian distribution N_Z(0, σ²): P[X = x] ∝ exp(−x² / 2σ²) over the integers.
 *
 * C. Canonne, G. Kamath, T. Steinke, "The Discrete Gaussian for Differential Privacy", 2020 (arXiv:2004.00010),
 * algorithms 1 to 3. Every decision compares integers, so that the distribution is exact and no property of floating
 * point can leak (Mironov 2012). Numbers are used where they fit in 53 bits, BigInt elsewhere.
 *
 * The time depends on the values drawn: draw where nobody can measure it.
 */

/** Largest deviation; the bounds in the comments below rest on it. */
export const MAX_NOISE_DEVIATION = 10_000_000;

/**
 * @param deviation σ, a whole number from 1 to {@link MAX_NOISE_DEVIATION}: the parameter of the distribution, and for
 *   σ ≥ 1 its standard deviation to within 10^−6.
 * @param count how many samples.
 * @param random its bytes are used up in blocks, so the source should serve this call only.
 * @returns `count` samples. One beyond 32 bits (past 214 σ at the largest σ) would be kept modulo 2^32, which is what
 *   the ring of the sums does to it anyway.
 * @throws PrivacyError NOISE_DEVIATION, NOISE_COUNT
 */
export function discreteGaussian(deviation: number, count: number, random: RandomSource): Int32Array {
  if (!Number.isInteger(deviation) || deviation < 1 || deviation > MAX_NOISE_DEVIATION) {
    throw new PrivacyError('NOISE_DEVIATION', `σ must be a whole number from 1 to ${MAX_NOISE_DEVIATION}`);
  }
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new PrivacyError('NOISE_COUNT', 'the number of samples must be a whole number from 0 on');
  }
  const uniform = newUniform(random);
  const sample = gaussianSampler(deviation, uniform);
  return Int32Array.from({ length: count }, sample);
}

/** Algorithm 3: discrete Laplace samples of scale t = ⌊σ⌋ + 1, kept with probability exp(−(|Y| − σ²/t)² / 2σ²). */
function gaussianSampler(deviation: number, uniform: Uniform): () => number {
  const scale = deviation + 1;
  // Over the common denominator: (|Y| − σ²/t)² / 2σ² = (|Y|·t − σ²)² / 2σ²t².
  const bigScale = BigInt(scale);
  const variance = BigInt(deviation) ** 2n;
  const denominator = 2n * variance * bigScale ** 2n;
  return () => {
    for (;;) {
      const candidate = discreteLaplace(scale, uniform);
      const distance = BigInt(Math.abs(candidate)) * bigScale - variance;
      if (bernoulliExp(distance ** 2n, denominator, uniform)) {
        return candidate;
      }
    }
  };
}

/**
 * Algorithm 2 with s = 1: P[Y = y] ∝ exp(−|y| / t). The magnitude is U + t·V with U below t and V geometric.
 *
 * @param scale t, at most 10^7 + 1, so the magnitude stays below 2^53 for every V below 2^29.
 */
function discreteLaplace(scale: number, uniform: Uniform): number {
  for (;;) {
    const remainder = uniform.below(scale);
    if (!bernoulliExpOfUnit(remainder, scale, uniform)) {
      continue;
    }
    let turns = 0;
    while (bernoulliExpOfUnit(1, 1, uniform)) {
      turns++;
    }
    const magnitude = remainder + scale * turns;
    const negative = uniform.below(2) === 1;
    // Zero has one sign only, else it would come up twice as often as it should.
    if (!(negative && magnitude === 0)) {
      return negative ? -magnitude : magnitude;
    }
  }
}

/**
 * Algorithm 1 for γ = n/d in [0, 1], numbers below 2^32: true with probability exp(−γ). The first K at which
 * Bernoulli(γ/K) fails is odd with that probability. Bernoulli(γ/K) is drawn as Bernoulli(γ) and Bernoulli(1/K), which
 * keeps all integers below 2^32.
 */
function bernoulliExpOfUnit(numerator: number, denominator: number, uniform: Uniform): boolean {
  let k = 1;
  while (uniform.below(denominator) < numerator && uniform.below(k) === 0) {
    k++;
  }
  return k % 2 === 1;
}

/** Algorithm 1 for any γ = n/d ≥ 0: exp(−γ) = exp(−1)^⌊γ⌋ · exp(−(γ − ⌊γ⌋)). */
function bernoulliExp(numerator: bigint, denominator: bigint, uniform: Uniform): boolean {
  for (let whole = numerator / denominator; whole > 0n; whole--) {
    if (!bernoulliExpOfUnit(1, 1, uniform)) {
      return false;
    }
  }
  const fraction = numerator % denominator;
  let k = 1;
  while (bernoulli(fraction, denominator, uniform) && uniform.below(k) === 0) {
    k++;
  }
  return k % 2 === 1;
}

const WORD = 1n << 32n;

/**
 * True with probability n/d, n < d: a uniform number in [0, 1) is below n/d. Its base-2^32 digits are drawn one by one
 * until one differs from that of n/d, nearly always the first.
 */
function bernoulli(numerator: bigint, denominator: bigint, uniform: Uniform): boolean {
  let rest = numerator;
  for (;;) {
    const shifted = rest * WORD;
    const digit = Number(shifted / denominator);
    const drawn = uniform.uint32();
    if (drawn !== digit) {
      return drawn < digit;
    }
    rest = shifted % denominator;
  }
}
