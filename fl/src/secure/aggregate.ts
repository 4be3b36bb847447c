// SPDX-License-Identifier: Apache-2.0
import { SecureError } from './errors.js';
import { addScaledTo, addTo, ringZeros, toSigned, type RingBits, type RingVector } from './ring.js';

/** One vehicle's component and the public weight it counts with. */
export interface WeightedComponent {
  readonly values: RingVector;
  /** A whole number from 0 on. */
  readonly weight: number;
}

/**
 * Σ weight · values mod 2^w of one component over a shard's vehicles. Takes one at a time, so a shard need not be in
 * memory; the order does not matter.
 *
 * @param length d + m.
 * @param bits width of the ring; default 32.
 * @throws SecureError RING_LENGTH, SECURE_OPTION_INVALID
 */
export function componentSum(reports: Iterable<WeightedComponent>, length: number, bits: RingBits = 32): RingVector {
  const sum = ringZeros(length, bits);
  for (const { values, weight } of reports) {
    addScaledTo(sum, values, weight);
  }
  return sum;
}

/**
 * Σ of all components' sums, read as two's complement: exactly Σ weight · vector over the integers where the
 * task's terms keep that within half of the ring, as the contract's `ringRules` demand.
 * With one component missing it is uniformly random.
 *
 * @param componentSums one for each component of the sharing.
 * @throws SecureError RING_LENGTH, SECURE_OPTION_INVALID where there is none.
 */
export function totalOf(componentSums: readonly RingVector[]): Int32Array {
  const [first, ...others] = componentSums;
  if (first === undefined) {
    throw new SecureError('SECURE_OPTION_INVALID', 'there is no component to add');
  }
  const total = first.slice();
  others.forEach((sum) => {
    addTo(total, sum);
  });
  return toSigned(total);
}
