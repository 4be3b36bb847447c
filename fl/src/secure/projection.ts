// SPDX-License-Identifier: Apache-2.0
import { hkdfSync } from 'node:crypto';
import { SecureError } from './errors.js';
import { contextBytes, keyStream } from './expand.js';

const PROJECTION_SALT = 'sev/secure/projection/v1';

/**
 * K random vectors over {−1, 0, 1} with probabilities ¼, ½, ¼, so E⟨u, v⟩² = ‖u‖² / 2. (Achlioptas, "Database-friendly
 * random projections", 2003; ±1 alone would not see 2^31 in two coordinates, which add up to 0 mod 2^32.)
 *
 *   key = HKDF-SHA256(ikm = seed, salt = "sev/secure/projection/v1", info = ""), 32 bytes
 *   v_k[i] = b_2i − b_2i+1, where b are the bits of the bytes k·⌈d/4⌉ on of AES-256-CTR(key), least significant first in
 *   each byte
 *
 * @param seed the round's seed, hex of 32 bytes, that nobody knew before the cohort was fixed.
 * @param count K, at most 255.
 * @param length d.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function projectionVectors(seed: string, count: number, length: number): readonly Int8Array[] {
  if (!Number.isInteger(count) || count < 0 || count > 255) {
    throw new SecureError('SECURE_OPTION_INVALID', `${String(count)} is not a number of projections: 0 to 255`);
  }
  const key = hkdfSync('sha256', contextBytes(seed), PROJECTION_SALT, new Uint8Array(), 32);
  const stride = Math.ceil(length / 4);
  const stream = keyStream(new Uint8Array(key), count * stride);
  return Array.from({ length: count }, (_, k) => ternary(stream.subarray(k * stride, (k + 1) * stride), length));
}

function ternary(bits: Uint8Array, length: number): Int8Array {
  const vector = new Int8Array(length);
  for (let i = 0; i < length; i++) {
    const pair = (bits[i >> 2] as number) >> (2 * (i & 3));
    vector[i] = (pair & 1) - ((pair >> 1) & 1);
  }
  return vector;
}

/** ‖v‖ of each vector, from exact integer sums. */
export function vectorNorms(vectors: readonly Int8Array[]): readonly number[] {
  return vectors.map((vector) => {
    let squares = 0;
    for (let i = 0; i < vector.length; i++) {
      squares += (vector[i] as number) * (vector[i] as number);
    }
    return Math.sqrt(squares);
  });
}

/**
 * ⟨component, v_k⟩ mod 2^32 for each k, over the first d coordinates; what follows them (metrics) is left alone. Linear:
 * the projections of all components of a vehicle add up to those of its update.
 *
 * @param component at least d values.
 * @returns K values; added over the components and read as int32 they are the update's projections.
 * @throws SecureError RING_LENGTH
 */
export function project(component: Uint32Array, vectors: readonly Int8Array[]): Uint32Array {
  const result = new Uint32Array(vectors.length);
  for (const [index, vector] of vectors.entries()) {
    if (vector.length > component.length) {
      throw new SecureError(
        'RING_LENGTH',
        `${String(component.length)} values for vectors of ${String(vector.length)}`,
      );
    }
    let sum = 0;
    for (let i = 0; i < vector.length; i++) {
      sum = (sum + Math.imul(component[i] as number, vector[i] as number)) | 0;
    }
    result[index] = sum;
  }
  return result;
}
