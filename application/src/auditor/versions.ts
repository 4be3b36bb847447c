// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import type { FinalWrite } from './commit-hash.js';
import { matchesMerkleSummary } from './range-merkle.js';
import type { NamespaceSets } from './transaction.js';

type Version = ledger.rwset.kvrwset.Version;
type KVRead = ledger.rwset.kvrwset.KVRead;
type RangeQueryInfo = ledger.rwset.kvrwset.RangeQueryInfo;

export interface StateEntry {
  /** A public key, or base64 of the hash of a private one. */
  readonly key: string;
  readonly block: number;
  readonly transaction: number;
  /** The value, or the hash of a private one. */
  readonly value: Uint8Array;
}

/** Where a key lives: the public state of a namespace (empty collection), or the hashes of one of its collections. */
interface Space {
  readonly namespace: string;
  readonly collection: string;
}

/** One public write of a valid transaction. */
export interface StateWrite {
  readonly namespace: string;
  readonly key: string;
  readonly isDelete: boolean;
  readonly value: Uint8Array;
}

/** The order in which Fabric's state database keeps keys: bytes of their UTF-8, one latin-1 character a byte. */
function byteOrder(key: string): string {
  return Buffer.from(key, 'utf8').toString('latin1');
}

/** Keys of one namespace with their versions, in Fabric's order. */
class Namespace {
  readonly #entries = new Map<string, StateEntry>();
  #sorted: string[] = [];
  #dirty = false;

  get(key: string): StateEntry | undefined {
    return this.#entries.get(byteOrder(key));
  }

  put(entry: StateEntry): void {
    const at = byteOrder(entry.key);
    this.#dirty ||= !this.#entries.has(at);
    this.#entries.set(at, entry);
  }

  delete(key: string): void {
    this.#dirty = this.#entries.delete(byteOrder(key)) || this.#dirty;
  }

  /** Entries from start (included) to end (excluded unless `includeEnd`); an empty end means no bound. */
  range(start: string, end: string, includeEnd: boolean): StateEntry[] {
    if (this.#dirty) {
      this.#sorted = [...this.#entries.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      this.#dirty = false;
    }
    const from = byteOrder(start);
    const to = byteOrder(end);
    const found: StateEntry[] = [];
    for (let i = lowerBound(this.#sorted, from); i < this.#sorted.length; i++) {
      const key = this.#sorted[i] ?? '';
      if (end !== '' && (key > to || (key === to && !includeEnd))) {
        break;
      }
      const entry = this.#entries.get(key);
      if (entry !== undefined) {
        found.push(entry);
      }
    }
    return found;
  }
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/**
 * The world state with versions, replayed from the blocks, and the checks that a committing peer makes against it
 * (Fabric, core/ledger/kvledger/txmgmt/validation).
 */
export class ReplayedState {
  readonly #namespaces = new Map<string, Namespace>();
  /** What earlier transactions of the block at hand wrote last, deletions too, by space and key. */
  #touched = new Map<string, FinalWrite>();

  startBlock(): void {
    this.#touched = new Map();
  }

  /** The last write to each key by the block at hand. */
  finalWrites(): FinalWrite[] {
    return [...this.#touched.values()];
  }

  get(namespace: string, key: string): StateEntry | undefined {
    return this.#space({ namespace, collection: '' }).get(key);
  }

  /** @returns the conflict that a peer finds in these read sets, or undefined. */
  conflict(sets: readonly NamespaceSets[]): 'MVCC_READ_CONFLICT' | 'PHANTOM_READ_CONFLICT' | undefined {
    for (const { namespace, publicSet, collections } of sets) {
      const open = { namespace, collection: '' };
      if (!publicSet.getReadsList().every((read) => this.#isCurrent(open, read.getKey(), read.getVersion()))) {
        return 'MVCC_READ_CONFLICT';
      }
      if (!publicSet.getRangeQueriesInfoList().every((query) => this.#isUnchanged(open, query))) {
        return 'PHANTOM_READ_CONFLICT';
      }
      for (const { name, set } of collections) {
        const reads = set.getHashedReadsList();
        const space = { namespace, collection: name };
        if (!reads.every((read) => this.#isCurrent(space, read.getKeyHash_asB64(), read.getVersion()))) {
          return 'MVCC_READ_CONFLICT';
        }
      }
    }
    return undefined;
  }

  /** Applies a valid transaction's writes. @returns its public writes. */
  apply(sets: readonly NamespaceSets[], block: number, transaction: number): StateWrite[] {
    const writes: StateWrite[] = [];
    for (const { namespace, publicSet, collections } of sets) {
      const open = { namespace, collection: '' };
      for (const write of publicSet.getWritesList()) {
        const entry = { key: write.getKey(), block, transaction, value: write.getValue_asU8() };
        this.#write(open, entry, write.getIsDelete());
        writes.push({ namespace, key: entry.key, isDelete: write.getIsDelete(), value: entry.value });
      }
      for (const write of publicSet.getMetadataWritesList()) {
        this.#renew(open, write.getKey(), block, transaction);
      }
      for (const { name, set } of collections) {
        const space = { namespace, collection: name };
        for (const write of set.getHashedWritesList()) {
          const entry = { key: write.getKeyHash_asB64(), block, transaction, value: write.getValueHash_asU8() };
          this.#write(space, entry, write.getIsDelete() || write.getIsPurge());
        }
        for (const write of set.getMetadataWritesList()) {
          this.#renew(space, write.getKeyHash_asB64(), block, transaction);
        }
      }
    }
    return writes;
  }

  #write(space: Space, entry: StateEntry, isDelete: boolean): void {
    const { key, transaction, value } = entry;
    const { namespace, collection } = space;
    this.#touched.set(touchedKey(space, key), {
      namespace,
      collection,
      key: Buffer.from(key, collection === '' ? 'utf8' : 'base64'),
      value: isDelete ? undefined : value,
      transaction,
    });
    if (isDelete) {
      this.#space(space).delete(key);
    } else {
      this.#space(space).put(entry);
    }
  }

  /** A write of metadata alone gives an existing key a new version. */
  #renew(space: Space, key: string, block: number, transaction: number): void {
    const entry = this.#space(space).get(key);
    if (entry !== undefined) {
      this.#write(space, { ...entry, block, transaction }, false);
    }
  }

  #space({ namespace, collection }: Space): Namespace {
    const name = `${namespace}\u0000${collection}`;
    let space = this.#namespaces.get(name);
    if (space === undefined) {
      space = new Namespace();
      this.#namespaces.set(name, space);
    }
    return space;
  }

  #isCurrent(space: Space, key: string, version: Version | undefined): boolean {
    if (this.#touched.has(touchedKey(space, key))) {
      return false;
    }
    return sameVersion(this.#space(space).get(key), version);
  }

  #isUnchanged(space: Space, query: RangeQueryInfo): boolean {
    const found = this.#space(space).range(query.getStartKey(), query.getEndKey(), !query.getItrExhausted());
    const summary = query.getReadsMerkleHashes();
    if (summary !== undefined) {
      return matchesMerkleSummary(found, summary);
    }
    const reads: readonly KVRead[] = query.getRawReads()?.getKvReadsList() ?? [];
    return (
      reads.length === found.length &&
      reads.every((read, i) => read.getKey() === found[i]?.key && sameVersion(found[i], read.getVersion()))
    );
  }
}

function touchedKey({ namespace, collection }: Space, key: string): string {
  return `${namespace}\u0000${collection}\u0000${key}`;
}

function sameVersion(entry: StateEntry | undefined, version: Version | undefined): boolean {
  if (entry === undefined || version === undefined) {
    return entry === undefined && version === undefined;
  }
  return entry.block === version.getBlockNum() && entry.transaction === version.getTxNum();
}
