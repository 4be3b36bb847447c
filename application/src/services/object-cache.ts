// SPDX-License-Identifier: Apache-2.0
import { LRUCache } from 'lru-cache';
import type { ObjectStore } from '../store/object-store.js';

/**
 * Keeps objects read from a store, the least recently used ones dropped first. Objects are named by their content, so
 * what is kept can never be out of date. Concurrent readers of one object share one request.
 */
export class ObjectCache {
  readonly #store: Pick<ObjectStore, 'get'>;
  readonly #objects: LRUCache<string, Uint8Array>;
  readonly #reading = new Map<string, Promise<Uint8Array>>();

  constructor(store: Pick<ObjectStore, 'get'>, maxBytes: number) {
    this.#store = store;
    // An empty object has a size, too.
    this.#objects = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ length }) => Math.max(1, length) });
  }

  /** @throws what the store throws; failures are not kept. */
  get(hash: string): Promise<Uint8Array> {
    const kept = this.#objects.get(hash);
    if (kept !== undefined) {
      return Promise.resolve(kept);
    }
    const under = this.#reading.get(hash);
    if (under !== undefined) {
      return under;
    }
    const reading = this.#read(hash);
    this.#reading.set(hash, reading);
    return reading;
  }

  async #read(hash: string): Promise<Uint8Array> {
    try {
      const bytes = await this.#store.get(hash);
      this.#objects.set(hash, bytes);
      return bytes;
    } finally {
      this.#reading.delete(hash);
    }
  }
}
