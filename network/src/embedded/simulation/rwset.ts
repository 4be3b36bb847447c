// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import type { Version } from '../ledger/keys.js';
import { newKvRead, RangeQueryRecorder } from './rangequery.js';

/** Collects what a transaction reads and writes in its chaincode's namespace. */
export class ReadWriteSetBuilder {
  readonly #namespace: string;
  readonly #reads = new Map<string, Version | undefined>();
  readonly #writes = new Map<string, Uint8Array>();
  readonly #rangeQueries: RangeQueryRecorder[] = [];

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  addRead(key: string, version: Version | undefined): void {
    this.#reads.set(key, version);
  }

  /** An empty value deletes the key, as on Fabric. */
  addWrite(key: string, value: Uint8Array): void {
    this.#writes.set(key, value);
  }

  addRangeQuery(recorder: RangeQueryRecorder): void {
    this.#rangeQueries.push(recorder);
  }

  /** Serialised `rwset.TxReadWriteSet`, its entries in key order so that equal sets have equal bytes. Call it once. */
  build(): Uint8Array {
    const result = new ledger.rwset.TxReadWriteSet();
    const set = new ledger.rwset.kvrwset.KVRWSet();
    set.setReadsList(sortedByKey(this.#reads).map(([key, version]) => newKvRead(key, version)));
    set.setWritesList(
      sortedByKey(this.#writes).map(([key, value]) => {
        const write = new ledger.rwset.kvrwset.KVWrite();
        write.setKey(key);
        write.setIsDelete(value.length === 0);
        write.setValue(value);
        return write;
      }),
    );
    set.setRangeQueriesInfoList(this.#distinctRangeQueries());
    const bytes = set.serializeBinary();
    if (bytes.length > 0) {
      const namespaceSet = new ledger.rwset.NsReadWriteSet();
      namespaceSet.setNamespace(this.#namespace);
      namespaceSet.setRwset(bytes);
      result.addNsRwset(namespaceSet);
    }
    return result.serializeBinary();
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

/** Entries ordered by the bytes of their keys, which is not the order of UTF-16 strings. */
function sortedByKey<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map]
    .map(([key, value]) => ({ bytes: Buffer.from(key, 'utf8'), key, value }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ key, value }) => [key, value]);
}
