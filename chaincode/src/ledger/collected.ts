// SPDX-License-Identifier: Apache-2.0

interface Item<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/** Collects what is asked for in one turn of the event loop's microtasks and asks for all of it at once. */
export class Collected<T, R> {
  readonly #ask: (items: readonly T[]) => Promise<readonly R[]>;
  #items: Item<T, R>[] = [];

  /** @param ask answers with one result an item, in order. */
  constructor(ask: (items: readonly T[]) => Promise<readonly R[]>) {
    this.#ask = ask;
  }

  /** @returns the item's own result; every item of a request that failed fails with it. */
  add(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#items.push({ item, resolve, reject });
      if (this.#items.length === 1) {
        // After the microtasks that are queued now: what they ask for goes along.
        setImmediate(() => void this.#send());
      }
    });
  }

  async #send(): Promise<void> {
    const items = this.#items;
    this.#items = [];
    try {
      const results = await this.#ask(items.map(({ item }) => item));
      items.forEach(({ resolve }, index) => {
        resolve(results[index] as R);
      });
    } catch (error) {
      items.forEach(({ reject }) => {
        reject(error);
      });
    }
  }
}
