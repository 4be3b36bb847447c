// SPDX-License-Identifier: Apache-2.0

interface Asked<T> {
  readonly hash: string;
  readonly resolve: (value: T | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Turns single reads that are asked for in one turn of the event loop into reads of several: an attester that fetches
 * the updates of a round makes one request of what would be twenty.
 */
export class Together<T> {
  readonly #read: (hashes: readonly string[]) => Promise<readonly (T | undefined)[]>;
  readonly #limit: number;
  #asked: Asked<T>[] = [];

  /**
   * @param read - reads at most `limit` values; undefined for those that it cannot give.
   */
  constructor(limit: number, read: (hashes: readonly string[]) => Promise<readonly (T | undefined)[]>) {
    this.#limit = limit;
    this.#read = read;
  }

  /** @returns undefined where the value was asked for alone, or reading several did not give it: read it by itself. */
  get(hash: string): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ hash, resolve, reject });
      if (this.#asked.length === 1) {
        setImmediate(() => {
          this.#flush();
        });
      }
    });
  }

  #flush(): void {
    const asked = this.#asked;
    this.#asked = [];
    while (asked.length > 0) {
      void this.#settle(asked.splice(0, this.#limit));
    }
  }

  async #settle(group: readonly Asked<T>[]): Promise<void> {
    try {
      const values = group.length === 1 ? [] : await this.#read(group.map(({ hash }) => hash));
      group.forEach(({ resolve }, index) => {
        resolve(values[index]);
      });
    } catch (error) {
      group.forEach(({ reject }) => {
        reject(error);
      });
    }
  }
}
