// SPDX-License-Identifier: Apache-2.0
import { HeError } from './errors.js';

/** An instance of BFV with batching, and how many ciphertexts its noise lets one add. */
export interface HeParameters {
  /** N: coefficients, and so slots, of a ciphertext. */
  readonly polynomialDegree: number;
  /** Bits of each prime of the coefficient modulus; the last one serves the key only. */
  readonly coefficientBits: readonly number[];
  /** t: a prime ≡ 1 mod 2N between 2^32 and 2^40. */
  readonly plainModulus: number;
  /** Vehicles in one sum, at the most. */
  readonly maxVehicles: number;
}

/**
 * N = 4,096 with 54 + 55 = 109 bits: all that 128-bit security allows at this degree (Homomorphic Encryption Standard 2018,
 * table 1, ternary secret), so the smallest ciphertext that holds 33-bit numbers: one prime of 54 bits, 64 KiB. A fresh
 * ciphertext has a noise budget of at least 13 bits; noise adds, so 2^10 ciphertexts cost 10 of them at the worst.
 * t exceeds 2^32: whatever the ring Z_2^32 of the shared mode can sum, this sums too.
 */
export const HE_PARAMETERS: HeParameters = {
  polynomialDegree: 4_096,
  coefficientBits: [54, 55],
  plainModulus: 8_589_852_673,
  maxVehicles: 1_024,
};

/** Values that a ciphertext carries: all slots but one, which holds the checksum. */
export function valuesPerCiphertext({ polynomialDegree }: HeParameters): number {
  return polynomialDegree - 1;
}

/** Ciphertexts of a vector. */
export function ciphertextsFor(length: number, parameters: HeParameters): number {
  return Math.ceil(length / valuesPerCiphertext(parameters));
}

/** What a sum is checked for before anything is encrypted. */
export interface HeRange {
  readonly vehicles: number;
  /** Bound on the magnitude of each value of each vehicle, weights included. */
  readonly maxAbsolute: number;
}

/**
 * Checks that no sum can wrap: vehicles · maxAbsolute ≤ (t − 1)/2.
 *
 * @throws HeError TOO_MANY_VEHICLES, SUM_MAY_WRAP
 */
export function checkHeRange({ vehicles, maxAbsolute }: HeRange, parameters: HeParameters = HE_PARAMETERS): void {
  if (!Number.isInteger(vehicles) || vehicles < 1 || vehicles > parameters.maxVehicles) {
    throw new HeError('TOO_MANY_VEHICLES', `a sum has 1 to ${parameters.maxVehicles} vehicles, not ${vehicles}`);
  }
  const limit = Math.floor((parameters.plainModulus - 1) / 2 / vehicles);
  if (!Number.isInteger(maxAbsolute) || maxAbsolute < 1 || maxAbsolute > limit) {
    throw new HeError('SUM_MAY_WRAP', `values of ${vehicles} vehicles must stay within ±${limit}`);
  }
}
