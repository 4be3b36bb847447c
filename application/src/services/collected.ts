// SPDX-License-Identifier: Apache-2.0

export interface CollectedOptions {
  /** Items that one call asks for, at the most. */
  readonly maxItems: number;
  /** Calls under way, at the most. */
  readonly maxCalls: number;
  /** After so long items wait for no call under way, if another may be begun; default 100. */
  readonly lingerMs?: number;
}

interface Waiting<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Asks for many items with one call. What is asked for in one turn of the event loop goes out together, at once where no
 * call is under way; what comes meanwhile is collected for the next, which goes out early where it is full or has waited.
 */
export class Collected<T, R> {
  readonly #ask: (items: readonly T[]) => Promise<readonly R[]>;
  readonly #options: CollectedOptions;
  /** In the order in which they came. */
  readonly #waiting: Waiting<T, R>[] = [];
  #underWay = 0;
  #scheduled = false;
  #lingering: NodeJS.Timeout | undefined;

  /** @param ask answers with one result an item, in order. */
  constructor(ask: (items: readonly T[]) => Promise<readonly R[]>, options: CollectedOptions) {
    this.#ask = ask;
    this.#options = options;
  }

  /** @returns the item's own result; every item of a call that failed fails with it. */
  find(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#scheduled) {
        this.#scheduled = true;
        setImmediate(() => {
          this.#scheduled = false;
          this.#send();
        });
      }
    });
  }

  #send(least = this.#options.maxItems): void {
    const { maxItems, maxCalls, lingerMs = 100 } = this.#options;
    const isDue = (): boolean =>
      this.#underWay === 0 ? this.#waiting.length > 0 : this.#waiting.length >= least && this.#underWay < maxCalls;
    while (isDue()) {
      void this.#call(this.#waiting.splice(0, maxItems));
    }
    if (this.#waiting.length > 0 && this.#lingering === undefined) {
      this.#lingering = setTimeout(() => {
        this.#lingering = undefined;
        this.#send(1);
      }, lingerMs);
    }
  }

  async #call(batch: readonly Waiting<T, R>[]): Promise<void> {
    this.#underWay += 1;
    try {
      const results = await this.#ask(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as R);
      });
    } catch (error) {
      batch.forEach(({ reject }) => {
        reject(error);
      });
    } finally {
      this.#underWay -= 1;
      this.#send();
    }
  }
}
