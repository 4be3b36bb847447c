// SPDX-License-Identifier: Apache-2.0
import type { FixedPoint } from '../../secure/fixed-point.js';

/**
 * An update in the ring as a vehicle encodes it that does not clip: multiplied by 2^f, rounded, and taken modulo 2^32.
 *
 * @returns length d.
 */
export function encodeUnclipped(update: Float32Array, { fractionBits }: FixedPoint): Uint32Array {
  const scale = 2 ** fractionBits;
  // What is not finite, or beyond 2^53, becomes some ring value too: an attacker may send anything.
  return Uint32Array.from(update, (value) => Math.round(value * scale));
}
