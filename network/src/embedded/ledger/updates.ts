// SPDX-License-Identifier: Apache-2.0
import type { Version } from './keys.js';
import type { StateKey, StateWrite } from './transactions.js';

/** What a block leaves behind at one key. */
export interface StateUpdate extends StateKey {
  /** Undefined where the key is deleted. */
  readonly value: Uint8Array | undefined;
  /** Undefined where it stays as it is; empty where there is none any longer. */
  readonly metadata: Uint8Array | undefined;
  readonly version: Version;
}

/** The value of a key before the block. */
export type CommittedValue = (key: StateKey) => Uint8Array | undefined;

const NONE = new Uint8Array();

/**
 * What the valid transactions of a block come to, one after the other (Fabric `prepareTxOps`): a deletion takes the
 * metadata with it, a value keeps it, and metadata alone gives a key that exists a new version.
 */
export class BlockUpdates {
  readonly #committed: CommittedValue;
  readonly #spaces = new Map<string, Map<string, StateUpdate>>();

  constructor(committed: CommittedValue) {
    this.#committed = committed;
  }

  write(writes: readonly StateWrite[], version: Version): void {
    for (const write of writes) {
      const { namespace, collection, key } = write;
      const before = this.get(write);
      const at = { namespace, collection, key, version };
      if (write.kind === 'value') {
        this.#set({ ...at, value: write.value, metadata: write.value === undefined ? NONE : before?.metadata });
        continue;
      }
      const value = before === undefined ? this.#committed(write) : before.value;
      if (value !== undefined) {
        this.#set({ ...at, value, metadata: write.metadata });
      }
    }
  }

  get({ namespace, collection, key }: StateKey): StateUpdate | undefined {
    return this.#spaces.get(spaceName(namespace, collection))?.get(key);
  }

  /** Updates of a namespace's public state, or of one of its collections. */
  of(namespace: string, collection = ''): Iterable<StateUpdate> {
    return this.#spaces.get(spaceName(namespace, collection))?.values() ?? [];
  }

  *all(): Generator<StateUpdate> {
    for (const space of this.#spaces.values()) {
      yield* space.values();
    }
  }

  #set(update: StateUpdate): void {
    const name = spaceName(update.namespace, update.collection);
    const space = this.#spaces.get(name) ?? new Map<string, StateUpdate>();
    this.#spaces.set(name, space.set(update.key, update));
  }
}

function spaceName(namespace: string, collection: string): string {
  return `${namespace}\u0000${collection}`;
}
