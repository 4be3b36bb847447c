// SPDX-License-Identifier: Apache-2.0
import { endianness } from 'node:os';
import { SecureError } from './errors.js';

/** Width of the ring Z_2^w that vectors are shared in: 32, or 16 where bounds are tight and only sums are opened. */
export type RingBits = 16 | 32;

/**
 * Values of the ring Z_2^w. Arithmetic wraps, so a component that is uniform hides what it is added to, and sums come out
 * right as long as the true result fits w bits, which the rules for a task's terms see to (chaincode `ringRules`). What is encoded modulo 2^32 is put into either
 * kind as it is: the array takes it modulo 2^w.
 */
export type RingVector = Uint16Array | Uint32Array;

const LITTLE_ENDIAN = endianness() === 'LE';

/** Zeros. */
export function ringZeros(length: number, bits: RingBits): RingVector {
  return bits === 16 ? new Uint16Array(length) : new Uint32Array(length);
}

export function ringBitsOf(values: RingVector): RingBits {
  return values.BYTES_PER_ELEMENT === 2 ? 16 : 32;
}

/** Bytes that a vector takes. */
export function ringSize(length: number, bits: RingBits): number {
  return (length * bits) / 8;
}

/** sum ← sum + values mod 2^w, in place. @throws SecureError RING_LENGTH */
export function addTo(sum: RingVector, values: RingVector): void {
  checkSameRing(values, sum);
  for (let i = 0; i < sum.length; i++) {
    sum[i] = ((sum[i] as number) + (values[i] as number)) | 0;
  }
}

/** sum ← sum − values mod 2^w, in place. @throws SecureError RING_LENGTH */
export function subtractFrom(sum: RingVector, values: RingVector): void {
  checkSameRing(values, sum);
  for (let i = 0; i < sum.length; i++) {
    sum[i] = ((sum[i] as number) - (values[i] as number)) | 0;
  }
}

/**
 * sum ← sum + weight · values mod 2^w, in place.
 *
 * @param weight a whole number in [0, 2^31).
 * @throws SecureError RING_LENGTH, SECURE_OPTION_INVALID
 */
export function addScaledTo(sum: RingVector, values: RingVector, weight: number): void {
  checkSameRing(values, sum);
  if (!Number.isInteger(weight) || weight < 0 || weight >= 2 ** 31) {
    throw new SecureError('SECURE_OPTION_INVALID', `${String(weight)} is not a weight: a whole number from 0 on`);
  }
  // Four a turn: this loop is most of what summing costs, and half as fast one by one.
  const whole = sum.length - (sum.length % 4);
  for (let i = 0; i < whole; i += 4) {
    sum[i] = ((sum[i] as number) + Math.imul(weight, values[i] as number)) | 0;
    sum[i + 1] = ((sum[i + 1] as number) + Math.imul(weight, values[i + 1] as number)) | 0;
    sum[i + 2] = ((sum[i + 2] as number) + Math.imul(weight, values[i + 2] as number)) | 0;
    sum[i + 3] = ((sum[i + 3] as number) + Math.imul(weight, values[i + 3] as number)) | 0;
  }
  for (let i = whole; i < sum.length; i++) {
    sum[i] = ((sum[i] as number) + Math.imul(weight, values[i] as number)) | 0;
  }
}

/** Values read as two's complement, in [−2^(w−1), 2^(w−1)). Of the ring of 32 bits it is the same memory. */
export function toSigned(values: RingVector): Int32Array {
  return values instanceof Uint32Array
    ? new Int32Array(values.buffer, values.byteOffset, values.length)
    : Int32Array.from(new Int16Array(values.buffer, values.byteOffset, values.length));
}

/** Values as they are committed to, encrypted, hashed and stored: little-endian, w / 8 bytes each. A copy. */
export function ringBytes(values: RingVector): Uint8Array {
  if (LITTLE_ENDIAN) {
    return new Uint8Array(values.slice().buffer);
  }
  const bits = ringBitsOf(values);
  const bytes = new Uint8Array(ringSize(values.length, bits));
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    if (bits === 16) {
      view.setUint16(2 * index, value, true);
    } else {
      view.setUint32(4 * index, value, true);
    }
  });
  return bytes;
}

/**
 * As {@link ringFromBytes}, but the same memory where it can be read as it lies: values and bytes are not to be changed
 * afterwards.
 *
 * @throws SecureError RING_LENGTH
 */
export function ringView(bytes: Uint8Array, length: number): Uint32Array;
export function ringView(bytes: Uint8Array, length: number, bits: RingBits): RingVector;
export function ringView(bytes: Uint8Array, length: number, bits: RingBits = 32): RingVector {
  checkLength(bytes.length, ringSize(length, bits));
  if (!LITTLE_ENDIAN || bytes.byteOffset % (bits / 8) !== 0) {
    return ringFromBytes(bytes, length, bits);
  }
  return bits === 16
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, length)
    : new Uint32Array(bytes.buffer, bytes.byteOffset, length);
}

/** Inverse of {@link ringBytes}. A copy. @throws SecureError RING_LENGTH where the bytes are not as many as the values take. */
export function ringFromBytes(bytes: Uint8Array, length: number): Uint32Array;
export function ringFromBytes(bytes: Uint8Array, length: number, bits: RingBits): RingVector;
export function ringFromBytes(bytes: Uint8Array, length: number, bits: RingBits = 32): RingVector {
  checkLength(bytes.length, ringSize(length, bits));
  const values = ringZeros(length, bits);
  if (LITTLE_ENDIAN) {
    new Uint8Array(values.buffer).set(bytes);
    return values;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < length; i++) {
    values[i] = bits === 16 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true);
  }
  return values;
}

function checkSameRing(values: RingVector, sum: RingVector): void {
  checkLength(values.length, sum.length);
  if (ringBitsOf(values) !== ringBitsOf(sum)) {
    throw new SecureError('RING_LENGTH', `values of ${String(ringBitsOf(values))} bits for a sum of another ring`);
  }
}

function checkLength(actual: number, expected: number): void {
  if (actual !== expected) {
    throw new SecureError('RING_LENGTH', `${String(actual)} where ${String(expected)} are needed`);
  }
}
