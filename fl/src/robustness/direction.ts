// SPDX-License-Identifier: Apache-2.0
import { SecureError } from '../secure/errors.js';
import type { RingVector } from '../secure/ring.js';
import { dot, norm } from '../vectors.js';
import { RobustnessError } from './errors.js';

/**
 * Norm of a quantised direction, at the most. An update within twice the clip at f = 11 and C = 4 has norm 2^14, so its
 * product with a direction stays below 2^30, half of what the ring reads as a signed number.
 */
export const DIRECTION_NORM = 2 ** 16;

/**
 * The direction of an update as integers: ⌊2^16 · u / ‖u‖⌋, rounded towards 0, so that its norm is at most 2^16.
 *
 * @param update length d; of float32, float64 or integers.
 * @returns length d.
 * @throws RobustnessError DIRECTION_NOT_FINITE, DIRECTION_ZERO
 */
export function quantiseDirection(update: Float32Array | Float64Array | Int32Array): Int32Array {
  const squares = dot(update, update);
  if (!Number.isFinite(squares)) {
    throw new RobustnessError('DIRECTION_NOT_FINITE', 'the update is not finite; train again');
  }
  if (squares === 0) {
    throw new RobustnessError('DIRECTION_ZERO', 'an update of zeros has no direction; train on more data');
  }
  // The last bits are given away, so that rounding the factor does not carry the norm over 2^16.
  const factor = (DIRECTION_NORM / Math.sqrt(squares)) * (1 - 2 ** -40);
  const direction = new Int32Array(update.length);
  for (let i = 0; i < direction.length; i++) {
    direction[i] = Math.trunc((update[i] as number) * factor);
  }
  return direction;
}

/**
 * The coordinate-wise median of several directions, of norm 2^16 again: what most validators agree on. Of an even number of
 * values the middle two are averaged.
 *
 * @param directions each of length d, in any order.
 * @returns length d.
 * @throws RobustnessError DIRECTION_LENGTH, DIRECTION_TOO_LONG, DIRECTION_ZERO
 */
export function medianDirection(directions: readonly Int32Array[]): Int32Array {
  const [first] = directions;
  if (first === undefined) {
    throw new RobustnessError('DIRECTION_LENGTH', 'there is no direction to take the median of');
  }
  directions.forEach((direction) => {
    checkDirection(direction, first.length);
  });
  const [low, high] = [(directions.length - 1) >> 1, directions.length >> 1];
  const column = new Int32Array(directions.length);
  // Twice the median is whole.
  const doubled = new Int32Array(first.length);
  for (let i = 0; i < doubled.length; i++) {
    for (let j = 0; j < directions.length; j++) {
      column[j] = directions[j]?.[i] ?? 0;
    }
    column.sort();
    doubled[i] = (column[low] as number) + (column[high] as number);
  }
  return quantiseDirection(doubled);
}

/** ‖r‖, from an exact integer sum. */
export function directionNorm(direction: Int32Array): number {
  return norm(direction);
}

/**
 * ⟨component, r⟩ mod 2^32 over the direction's coordinates; what follows them (metrics) is left alone. Linear: added over a
 * vehicle's components and read as int32 it is ⟨u, r⟩.
 *
 * @param component at least d values.
 * @returns a whole number in [0, 2^32).
 * @throws SecureError RING_LENGTH; RING_TOO_NARROW for a component of the ring of 16 bits, which the product would leave.
 */
export function projectOn(component: RingVector, direction: Int32Array): number {
  if (!(component instanceof Uint32Array)) {
    throw new SecureError('RING_TOO_NARROW', 'products with a direction need the ring of 32 bits');
  }
  if (direction.length > component.length) {
    throw new SecureError(
      'RING_LENGTH',
      `${String(component.length)} values for a direction of ${String(direction.length)}`,
    );
  }
  let sum = 0;
  for (let i = 0; i < direction.length; i++) {
    sum = (sum + Math.imul(component[i] as number, direction[i] as number)) | 0;
  }
  return sum >>> 0;
}

/** @throws RobustnessError DIRECTION_LENGTH, DIRECTION_ZERO, DIRECTION_TOO_LONG */
export function checkDirection(direction: Int32Array, length: number): void {
  if (direction.length !== length) {
    throw new RobustnessError(
      'DIRECTION_LENGTH',
      `${String(direction.length)} coordinates where ${String(length)} are needed`,
    );
  }
  const own = directionNorm(direction);
  if (own === 0) {
    throw new RobustnessError('DIRECTION_ZERO', 'a direction of zeros points nowhere');
  }
  if (own > DIRECTION_NORM) {
    throw new RobustnessError(
      'DIRECTION_TOO_LONG',
      `its norm is ${String(Math.ceil(own))}, at most ${String(DIRECTION_NORM)}`,
    );
  }
}
