// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import type { Version } from '../ledger/keys.js';
import { sha256 } from '../protocol/block.js';
import { newKvRead, newVersion, RangeQueryRecorder } from './rangequery.js';

const {
  HashedRWSet,
  KVMetadataEntry,
  KVMetadataWrite,
  KVMetadataWriteHash,
  KVReadHash,
  KVRWSet,
  KVWrite,
  KVWriteHash,
} = ledger.rwset.kvrwset;

/** Metadata of a key, by name. */
export type Metadata = ReadonlyMap<string, Uint8Array>;

/** What a transaction has done, serialised. */
export interface SimulationResults {
  /** `rwset.TxReadWriteSet`. */
  readonly results: Uint8Array;
  /** `kvrwset.KVRWSet` of each collection that was written to. */
  readonly privateSets: ReadonlyMap<string, Uint8Array>;
}

/** Reads and writes of the public state, or of one collection. */
class SpaceBuilder {
  readonly #reads = new Map<string, Version | undefined>();
  readonly #writes = new Map<string, { value: Uint8Array; isPurge: boolean }>();
  readonly #metadataWrites = new Map<string, Metadata>();

  addRead(key: string, version: Version | undefined): void {
    this.#reads.set(key, version);
  }

  /** An empty value deletes the key, as on Fabric. */
  addWrite(key: string, value: Uint8Array, isPurge = false): void {
    this.#writes.set(key, { value, isPurge });
  }

  addMetadataWrite(key: string, metadata: Metadata): void {
    this.#metadataWrites.set(key, metadata);
  }

  /** Reads of the keys themselves. */
  reads(): ledger.rwset.kvrwset.KVRead[] {
    return sortedByKey(this.#reads).map(([key, version]) => newKvRead(key, version));
  }

  /** Writes of the keys themselves; a private key's metadata is public, under its hash. */
  writes(withMetadata: boolean): ledger.rwset.kvrwset.KVRWSet {
    const set = new KVRWSet();
    set.setWritesList(
      sortedByKey(this.#writes).map(([key, { value }]) => {
        const write = new KVWrite();
        write.setKey(key);
        write.setIsDelete(value.length === 0);
        write.setValue(value);
        return write;
      }),
    );
    set.setMetadataWritesList(
      sortedByKey(this.#metadataWrites).map(([key, metadata]) => {
        const write = new KVMetadataWrite();
        write.setKey(key);
        write.setEntriesList(withMetadata ? entries(metadata) : []);
        return write;
      }),
    );
    return set;
  }

  hashes(): ledger.rwset.kvrwset.HashedRWSet {
    const set = new HashedRWSet();
    set.setHashedReadsList(
      sortedByKey(this.#reads).map(([key, version]) => {
        const read = new KVReadHash();
        read.setKeyHash(keyHash(key));
        read.setVersion(newVersion(version));
        return read;
      }),
    );
    set.setHashedWritesList(
      sortedByKey(this.#writes).map(([key, { value, isPurge }]) => {
        const write = new KVWriteHash();
        write.setKeyHash(keyHash(key));
        write.setIsDelete(value.length === 0);
        write.setIsPurge(isPurge);
        write.setValueHash(value.length === 0 ? '' : sha256(value));
        return write;
      }),
    );
    set.setMetadataWritesList(
      sortedByKey(this.#metadataWrites).map(([key, metadata]) => {
        const write = new KVMetadataWriteHash();
        write.setKeyHash(keyHash(key));
        write.setEntriesList(entries(metadata));
        return write;
      }),
    );
    return set;
  }

  get isWritten(): boolean {
    return this.#writes.size > 0 || this.#metadataWrites.size > 0;
  }
}

/** Collects what a transaction reads and writes in its chaincode's namespace. */
export class ReadWriteSetBuilder {
  readonly #namespace: string;
  readonly #spaces = new Map<string, SpaceBuilder>([['', new SpaceBuilder()]]);
  readonly #rangeQueries: RangeQueryRecorder[] = [];

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** The public state, by the empty name, or a collection. */
  of(collection: string): SpaceBuilder {
    const space = this.#spaces.get(collection) ?? new SpaceBuilder();
    this.#spaces.set(collection, space);
    return space;
  }

  addRangeQuery(recorder: RangeQueryRecorder): void {
    this.#rangeQueries.push(recorder);
  }

  /** Entries are in key order so that equal sets have equal bytes. Call it once. */
  build(): SimulationResults {
    const privateSets = new Map<string, Uint8Array>();
    const namespaceSet = new ledger.rwset.NsReadWriteSet();
    namespaceSet.setNamespace(this.#namespace);
    const open = this.of('');
    const set = open.writes(true);
    set.setReadsList(open.reads());
    set.setRangeQueriesInfoList(this.#distinctRangeQueries());
    namespaceSet.setRwset(set.serializeBinary());
    for (const [collection, space] of sortedByKey(this.#spaces)) {
      if (collection !== '') {
        const hashed = new ledger.rwset.CollectionHashedReadWriteSet();
        hashed.setCollectionName(collection);
        hashed.setHashedRwset(space.hashes().serializeBinary());
        if (space.isWritten) {
          const bytes = space.writes(false).serializeBinary();
          privateSets.set(collection, bytes);
          hashed.setPvtRwsetHash(sha256(bytes));
        }
        namespaceSet.addCollectionHashedRwset(hashed);
      }
    }
    const result = new ledger.rwset.TxReadWriteSet();
    if (namespaceSet.getRwset_asU8().length > 0 || this.#spaces.size > 1) {
      result.addNsRwset(namespaceSet);
    }
    return { results: result.serializeBinary(), privateSets };
  }

  /** Fabric keeps the first of several queries over the same range. */
  #distinctRangeQueries(): ledger.rwset.kvrwset.RangeQueryInfo[] {
    const seen = new Map<string, ledger.rwset.kvrwset.RangeQueryInfo>();
    for (const recorder of this.#rangeQueries) {
      const info = recorder.finish();
      const id = JSON.stringify([info.getStartKey(), info.getEndKey(), info.getItrExhausted()]);
      if (!seen.has(id)) {
        seen.set(id, info);
      }
    }
    return [...seen.values()];
  }
}

/** SHA-256 of a private key: how the channel knows it. */
export function keyHash(key: string): Buffer {
  return sha256(Buffer.from(key, 'utf8'));
}

function entries(metadata: Metadata): ledger.rwset.kvrwset.KVMetadataEntry[] {
  return sortedByKey(metadata).map(([name, value]) => {
    const entry = new KVMetadataEntry();
    entry.setName(name);
    entry.setValue(value);
    return entry;
  });
}

/** Entries ordered by the bytes of their keys, which is not the order of UTF-16 strings. */
function sortedByKey<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map]
    .map(([key, value]) => ({ bytes: Buffer.from(key, 'utf8'), key, value }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ key, value }) => [key, value]);
}
