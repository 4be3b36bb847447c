// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';

/** Choices that follow from a seed alone: SHA-256 of the seed and a counter, 48 bits at a time. */
export class SeededChoice {
  readonly #seed: number;
  #count = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** @returns an integer from 0 to `below` − 1. */
  integer(below: number): number {
    this.#count += 1;
    const digest = createHash('sha256').update(`${this.#seed}/${this.#count}`).digest();
    return digest.readUIntBE(0, 6) % below;
  }

  /** @throws RangeError where there is nothing to choose from. */
  pick<T>(from: readonly T[]): T {
    const found = from[this.integer(Math.max(1, from.length))];
    if (found === undefined) {
      throw new RangeError('a choice among nothing');
    }
    return found;
  }
}
