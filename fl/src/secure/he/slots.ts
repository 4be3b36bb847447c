// SPDX-License-Identifier: Apache-2.0
import { HeError } from './errors.js';
import { ciphertextsFor, valuesPerCiphertext, type HeParameters } from './parameters.js';

/** The slots of one plaintext: N whole numbers in [0, t). */
export type Slots = Float64Array;

/**
 * Lays values out in slots: N − 1 to a plaintext, zeros after the last, and in the last slot a checksum
 *
 *   Σ (j + 1) · slot_j  mod t.
 *
 * It is linear, so the sum of all vehicles' slots has it too. It finds what happens by accident or clumsiness (a wrong
 * mask, cohort, key or ciphertext passes with probability 1/t); who computes a fitting checksum to a false vector is not
 * found by it.
 *
 * @param values whole numbers within ±maxAbsolute.
 * @throws HeError VALUE_OUT_OF_RANGE
 */
export function toSlots(values: ArrayLike<number>, maxAbsolute: number, parameters: HeParameters): readonly Slots[] {
  const { polynomialDegree, plainModulus } = parameters;
  const size = valuesPerCiphertext(parameters);
  return Array.from({ length: ciphertextsFor(values.length, parameters) }, (_, chunk) => {
    const slots = new Float64Array(polynomialDegree);
    const end = Math.min(size, values.length - chunk * size);
    for (let j = 0; j < end; j++) {
      const value = values[chunk * size + j] ?? Number.NaN;
      if (!Number.isInteger(value) || Math.abs(value) > maxAbsolute) {
        throw new HeError('VALUE_OUT_OF_RANGE', `value ${chunk * size + j} is no whole number within ±${maxAbsolute}`);
      }
      slots[j] = value < 0 ? value + plainModulus : value;
    }
    slots[size] = checksum(slots, plainModulus);
    return slots;
  });
}

/**
 * Inverse of {@link toSlots}: numbers above t/2 are the negative ones.
 *
 * @param length of the vector.
 * @returns sums, exact integers.
 * @throws HeError CHECKSUM_FAILED
 */
export function fromSlots(chunks: readonly Slots[], length: number, parameters: HeParameters): Float64Array {
  const { plainModulus } = parameters;
  const size = valuesPerCiphertext(parameters);
  const values = new Float64Array(length);
  for (const [chunk, slots] of chunks.entries()) {
    const end = Math.min(size, length - chunk * size);
    if (slots[size] !== checksum(slots, plainModulus) || slots.subarray(end, size).some((slot) => slot !== 0)) {
      throw new HeError('CHECKSUM_FAILED', `ciphertext ${chunk} does not add up; abort the round`);
    }
    for (let j = 0; j < end; j++) {
      const slot = slots[j] ?? Number.NaN;
      values[chunk * size + j] = slot > plainModulus / 2 ? slot - plainModulus : slot;
    }
  }
  return values;
}

/** Weights stay below 2^13 and t below 2^40, so every product is exact. */
function checksum(slots: Slots, plainModulus: number): number {
  let sum = 0;
  for (let j = 0; j < slots.length - 1; j++) {
    sum = (sum + (((j + 1) * (slots[j] ?? 0)) % plainModulus)) % plainModulus;
  }
  return sum;
}

/** target += added, modulo t, slot by slot. */
export function addSlots(target: readonly Slots[], added: readonly Slots[], { plainModulus }: HeParameters): void {
  combine(target, added, (a, b) => (a + b >= plainModulus ? a + b - plainModulus : a + b));
}

/** target −= subtracted, modulo t, slot by slot. */
export function subtractSlots(
  target: readonly Slots[],
  subtracted: readonly Slots[],
  { plainModulus }: HeParameters,
): void {
  combine(target, subtracted, (a, b) => (a < b ? a - b + plainModulus : a - b));
}

function combine(target: readonly Slots[], other: readonly Slots[], operation: (a: number, b: number) => number): void {
  target.forEach((slots, chunk) => {
    const others = other[chunk];
    slots.forEach((value, j) => {
      slots[j] = operation(value, others?.[j] ?? Number.NaN);
    });
  });
}
