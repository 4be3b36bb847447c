// SPDX-License-Identifier: Apache-2.0

/** Lets at most so many calls run at once; the others wait in the order in which they came. */
export class InFlightLimit {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(max: number) {
    this.#max = max;
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#running < this.#max) {
      this.#running += 1;
    } else {
      // Whoever ends hands its place over, so nobody who comes later takes it.
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    try {
      return await call();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#running -= 1;
      } else {
        next();
      }
    }
  }
}
