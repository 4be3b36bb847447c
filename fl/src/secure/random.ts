// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, randomBytes } from 'node:crypto';
import { SecureError } from './errors.js';

/** Bytes that cannot be told from uniform ones without knowing the source's secret. */
export interface RandomSource {
  /** The next n bytes, the caller's to keep. */
  nextBytes(n: number): Uint8Array;
}

/** The operating system's generator (node:crypto). */
export const systemRandom: RandomSource = {
  nextBytes: (n) => new Uint8Array(randomBytes(n)),
};

/**
 * The key stream of AES-256 in counter mode (NIST SP 800-38A, section 6.5), first counter block zero. The same seed gives
 * the same bytes, however they are cut: what is shared from it can be recomputed by whoever is shown the seed.
 *
 * @param seed 32 uniform bytes, used for nothing else.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function seededRandom(seed: Uint8Array): RandomSource {
  if (seed.length !== 32) {
    throw new SecureError('SECURE_OPTION_INVALID', `a seed has 32 bytes, not ${String(seed.length)}`);
  }
  const cipher = createCipheriv('aes-256-ctr', seed, new Uint8Array(16));
  return { nextBytes: (n) => new Uint8Array(cipher.update(new Uint8Array(n))) };
}
