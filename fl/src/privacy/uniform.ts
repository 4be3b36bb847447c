// SPDX-License-Identifier: Apache-2.0
import type { RandomSource } from '../secure/random.js';

/** Whole numbers without bias. */
export interface Uniform {
  /** In [0, 2^32). */
  uint32(): number;
  /** In [0, n), n from 1 to 2^32. */
  below(n: number): number;
}

/** Read at once. Part of the definition: other sizes would give other samples from a seed. */
const BLOCK_BYTES = 16_384;

/** @param random read in blocks of 16 KiB, taken as little-endian 32-bit words. */
export function newUniform(random: RandomSource): Uniform {
  let block: DataView = new DataView(new ArrayBuffer(0));
  let offset = 0;
  const uint32 = (): number => {
    if (offset === block.byteLength) {
      const bytes = random.nextBytes(BLOCK_BYTES);
      block = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      offset = 0;
    }
    const word = block.getUint32(offset, true);
    offset += 4;
    return word;
  };
  const below = (n: number): number => {
    if (n === 1) {
      return 0;
    }
    // Words past the last full multiple of n would make the small results more frequent.
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % n);
    let word = uint32();
    while (word >= limit) {
      word = uint32();
    }
    return word % n;
  };
  return { uint32, below };
}
