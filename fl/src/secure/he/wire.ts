// SPDX-License-Identifier: Apache-2.0
import { HeError } from './errors.js';
import { ciphertextsFor, HE_PARAMETERS, type HeParameters } from './parameters.js';
import type { Slots } from './slots.js';

const SLOT_BYTES = 8;

/** Slots of one opening as the store holds them: uint64, little-endian, one plaintext after the other. */
export function slotsToBytes(chunks: readonly Slots[]): Uint8Array {
  const bytes = Buffer.alloc(chunks.reduce((size, slots) => size + SLOT_BYTES * slots.length, 0));
  let at = 0;
  for (const slots of chunks) {
    for (const value of slots) {
      at = bytes.writeBigUInt64LE(BigInt(value), at);
    }
  }
  return bytes;
}

/**
 * Inverse of {@link slotsToBytes}, for bytes that may come from anywhere.
 *
 * @param length values of each vehicle's vector.
 * @throws HeError OPENING_MALFORMED where there are more or fewer slots, or one is not below t.
 */
export function slotsFromBytes(
  bytes: Uint8Array,
  length: number,
  { polynomialDegree, ...rest }: HeParameters = HE_PARAMETERS,
): readonly Slots[] {
  const chunks = ciphertextsFor(length, { polynomialDegree, ...rest });
  if (bytes.length !== chunks * polynomialDegree * SLOT_BYTES) {
    throw new HeError('OPENING_MALFORMED', `${String(bytes.length)} bytes, not those of ${String(chunks)} plaintexts`);
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const limit = BigInt(rest.plainModulus);
  return Array.from({ length: chunks }, (_, chunk) =>
    Float64Array.from({ length: polynomialDegree }, (_slot, j) => {
      const value = view.readBigUInt64LE(SLOT_BYTES * (chunk * polynomialDegree + j));
      if (value >= limit) {
        throw new HeError('OPENING_MALFORMED', `slot ${String(j)} of plaintext ${String(chunk)} is not below t`);
      }
      return Number(value);
    }),
  );
}

/**
 * Cuts ciphertexts that come one after the other.
 *
 * @param count how many there should be.
 * @throws HeError CIPHERTEXT_MALFORMED where the bytes do not divide into so many.
 */
export function ciphertextsFromBytes(bytes: Uint8Array, count: number): readonly Uint8Array[] {
  const size = bytes.length / count;
  if (!Number.isInteger(size) || size === 0) {
    throw new HeError('CIPHERTEXT_MALFORMED', `${String(bytes.length)} bytes are not ${String(count)} ciphertexts`);
  }
  return Array.from({ length: count }, (_, index) => Uint8Array.from(bytes.subarray(index * size, (index + 1) * size)));
}
