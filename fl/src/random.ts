// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';

/** A source of reproducible pseudo-random numbers. Not for secrets. */
export interface Random {
  /** A whole number in [0, 2^32). */
  uint32(): number;
  /** A number in [0, 1) with 32 random bits. */
  uniform(): number;
  /** A whole number in [0, n), without bias; n in [1, 2^32]. */
  below(n: number): number;
  /** About normal, mean 0, variance 1, within ±6: twelve uniforms less six (Irwin-Hall), so that only sums are used. */
  normal(): number;
}

const rotateLeft = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/**
 * A generator that starts from a seed: {@link randomFromState} with a state made by SplitMix32 (the 32-bit finaliser of
 * MurmurHash3 over a Weyl sequence). Integer arithmetic only: the same numbers on every machine.
 *
 * @param seed an integer; its low 32 bits count.
 */
export function newRandom(seed: number): Random {
  let weyl = seed >>> 0;
  const splitMix = (): number => {
    weyl = (weyl + 0x9e3779b9) >>> 0;
    let z = weyl;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  return randomFromState([splitMix(), splitMix(), splitMix(), splitMix()]);
}

/**
 * xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 2021).
 *
 * @param state four 32-bit integers, not all zero.
 */
export function randomFromState(state: readonly [number, number, number, number]): Random {
  let [s0, s1, s2, s3] = state;

  const uint32 = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const t = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotateLeft(s3, 11);
    return result;
  };
  const uniform = (): number => uint32() / 0x1_0000_0000;
  const below = (n: number): number => {
    // Values past the last full multiple of n would make the small results more frequent.
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % n);
    let value = uint32();
    while (value >= limit) {
      value = uint32();
    }
    return value % n;
  };
  const normal = (): number => {
    let sum = -6;
    for (let i = 0; i < 12; i++) {
      sum += uniform();
    }
    return sum;
  };
  return { uint32, uniform, below, normal };
}

/**
 * A seed for one purpose from a common one: the first 32 bits of SHA-256 over the JSON of [seed, ...labels], so that
 * e.g. every (round, vehicle) shuffles in its own way and anyone can repeat it.
 */
export function deriveSeed(seed: number, ...labels: readonly (string | number)[]): number {
  return createHash('sha256')
    .update(JSON.stringify([seed, ...labels]))
    .digest()
    .readUInt32BE(0);
}
