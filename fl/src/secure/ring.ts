// SPDX-License-Identifier: Apache-2.0
import { endianness } from 'node:os';
import { SecureError } from './errors.js';

/**
 * The ring Z_2^32 that vectors are shared in. Arithmetic wraps, so a component that is uniform hides what it is added
 * to, and sums come out right as long as the true result fits 32 bits (see `checkNoOverflow`).
 */
const BYTES = Uint32Array.BYTES_PER_ELEMENT;
const LITTLE_ENDIAN = endianness() === 'LE';

/** sum ← sum + values mod 2^32, in place. @throws SecureError RING_LENGTH */
export function addTo(sum: Uint32Array, values: Uint32Array): void {
  checkLength(values.length, sum.length);
  for (let i = 0; i < sum.length; i++) {
    sum[i] = ((sum[i] as number) + (values[i] as number)) | 0;
  }
}

/** sum ← sum − values mod 2^32, in place. @throws SecureError RING_LENGTH */
export function subtractFrom(sum: Uint32Array, values: Uint32Array): void {
  checkLength(values.length, sum.length);
  for (let i = 0; i < sum.length; i++) {
    sum[i] = ((sum[i] as number) - (values[i] as number)) | 0;
  }
}

/**
 * sum ← sum + weight · values mod 2^32, in place.
 *
 * @param weight a whole number in [0, 2^31).
 * @throws SecureError RING_LENGTH, SECURE_OPTION_INVALID
 */
export function addScaledTo(sum: Uint32Array, values: Uint32Array, weight: number): void {
  checkLength(values.length, sum.length);
  if (!Number.isInteger(weight) || weight < 0 || weight >= 2 ** 31) {
    throw new SecureError('SECURE_OPTION_INVALID', `${String(weight)} is not a weight: a whole number from 0 on`);
  }
  for (let i = 0; i < sum.length; i++) {
    sum[i] = ((sum[i] as number) + Math.imul(weight, values[i] as number)) | 0;
  }
}

/** The same memory read as two's complement: values in [−2^31, 2^31). */
export function toSigned(values: Uint32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

/** Values as they are committed to, encrypted, hashed and stored: little-endian, 4 bytes each. A copy. */
export function ringBytes(values: Uint32Array): Uint8Array {
  if (LITTLE_ENDIAN) {
    return new Uint8Array(values.slice().buffer);
  }
  const bytes = new Uint8Array(values.length * BYTES);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setUint32(index * BYTES, value, true);
  });
  return bytes;
}

/** Inverse of {@link ringBytes}. A copy. @throws SecureError RING_LENGTH where the bytes are not 4·length. */
export function ringFromBytes(bytes: Uint8Array, length: number): Uint32Array {
  checkLength(bytes.length, length * BYTES);
  const values = new Uint32Array(length);
  if (LITTLE_ENDIAN) {
    new Uint8Array(values.buffer).set(bytes);
    return values;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < length; i++) {
    values[i] = view.getUint32(i * BYTES, true);
  }
  return values;
}

function checkLength(actual: number, expected: number): void {
  if (actual !== expected) {
    throw new SecureError('RING_LENGTH', `${String(actual)} where ${String(expected)} are needed`);
  }
}
