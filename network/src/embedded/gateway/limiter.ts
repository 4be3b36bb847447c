// SPDX-License-Identifier: Apache-2.0

/** Bounds the calls that a service works on at once (Fabric `peer.limits.concurrency`). */
export class ConcurrencyLimiter {
  readonly #service: string;
  readonly #limit: number;
  #running = 0;

  constructor(service: string, limit: number) {
    this.#service = service;
    this.#limit = limit;
  }

  /** Counts a call until the returned function is called. @throws Error with Fabric's text over the limit. */
  acquire(): () => void {
    if (this.#running >= this.#limit) {
      throw new Error(`too many requests for ${this.#service}, exceeding concurrency limit (${String(this.#limit)})`);
    }
    this.#running += 1;
    return () => {
      this.#running -= 1;
    };
  }
}
