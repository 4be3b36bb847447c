// SPDX-License-Identifier: Apache-2.0

/** How long the others are used before the preferred one is tried again. */
const RETURN_AFTER_MS = 1_000;

/**
 * Chooses among several that do the same work: the first as long as it answers, else the next one that is fit, and
 * the first again when it is back.
 */
export class Failover<T> {
  readonly #candidates: readonly T[];
  readonly #isFit: (candidate: T) => Promise<boolean>;
  readonly #returnAfterMs: number;
  #index = 0;
  #triedAtMs = 0;
  #leaving: Promise<void> | undefined;

  /**
   * @param candidates in the order of preference, at least one.
   * @param isFit asked before a candidate takes over; never rejects.
   */
  constructor(
    candidates: readonly [T, ...T[]],
    isFit: (candidate: T) => Promise<boolean>,
    returnAfterMs = RETURN_AFTER_MS,
  ) {
    this.#candidates = candidates;
    this.#isFit = isFit;
    this.#returnAfterMs = returnAfterMs;
  }

  /** The one to use now. Where that is not the first, sees now and then whether a better one is back. */
  current(): T {
    if (this.#index > 0 && this.#leaving === undefined && Date.now() - this.#triedAtMs >= this.#returnAfterMs) {
      this.#triedAtMs = Date.now();
      void this.#moveTo(this.#candidates.slice(0, this.#index));
    }
    return this.#at(this.#index);
  }

  /** Says that a candidate does not answer: moves on to the first other that is fit, or stays where none is. */
  async leave(candidate: T): Promise<void> {
    if (candidate !== this.#at(this.#index)) {
      return; // Another call has found out before.
    }
    this.#leaving ??= this.#moveTo(this.#candidates.filter((other) => other !== candidate)).finally(() => {
      this.#triedAtMs = Date.now();
      this.#leaving = undefined;
    });
    await this.#leaving;
  }

  async #moveTo(candidates: readonly T[]): Promise<void> {
    for (const candidate of candidates) {
      if (await this.#isFit(candidate)) {
        this.#index = this.#candidates.indexOf(candidate);
        return;
      }
    }
  }

  #at(index: number): T {
    const candidate = this.#candidates[index];
    if (candidate === undefined) {
      throw new Error('a failover needs at least one candidate');
    }
    return candidate;
  }
}
