// SPDX-License-Identifier: Apache-2.0
import type { ObjectStore } from '../store/object-store.js';

/**
 * Keeps objects read from a store, the least recently used ones dropped first. Objects are named by their content, so
 * what is kept can never be out of date. Concurrent readers of one object share one request.
 */
export class ObjectCache {
  readonly #store: Pick<ObjectStore, 'get'>;
  readonly #maxBytes: number;
  readonly #objects = new Map<string, Uint8Array>();
  readonly #reading = new Map<string, Promise<Uint8Array>>();
  #bytes = 0;

  constructor(store: Pick<ObjectStore, 'get'>, maxBytes: number) {
    this.#store = store;
    this.#maxBytes = maxBytes;
  }

  /** @throws what the store throws; failures are not kept. */
  get(hash: string): Promise<Uint8Array> {
    const kept = this.#objects.get(hash);
    if (kept !== undefined) {
      this.#objects.delete(hash);
      this.#objects.set(hash, kept);
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
      this.#keep(hash, bytes);
      return bytes;
    } finally {
      this.#reading.delete(hash);
    }
  }

  #keep(hash: string, bytes: Uint8Array): void {
    this.#objects.set(hash, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, old] of this.#objects) {
      if (this.#bytes <= this.#maxBytes) {
        return;
      }
      this.#objects.delete(oldest);
      this.#bytes -= old.length;
    }
  }
}
