// SPDX-License-Identifier: Apache-2.0
import { ledger, peer } from '@hyperledger/fabric-protos';
import { hashSpace, type Version } from '../ledger/keys.js';
import { sameVersion, type StateReader } from '../ledger/state.js';
import type { StateKey } from '../ledger/transactions.js';
import type { BlockUpdates } from '../ledger/updates.js';
import type { NamespaceSet } from '../protocol/transaction.js';
import { newKvRead, RangeQueryResults } from '../simulation/rangequery.js';

type RangeQueryInfo = ledger.rwset.kvrwset.RangeQueryInfo;

/** Fabric's `TxValidationCode` of reads that still hold, and of those that do not. */
export type ReadCheck =
  | typeof peer.TxValidationCode.VALID
  | typeof peer.TxValidationCode.MVCC_READ_CONFLICT
  | typeof peer.TxValidationCode.PHANTOM_READ_CONFLICT;

/**
 * Checks transactions of one block in their order: what one has read must be what the state holds, the writes of the
 * valid ones before it in the block included.
 */
export class ReadSetValidator {
  readonly #state: StateReader;
  readonly #updates: BlockUpdates;

  constructor(state: StateReader, updates: BlockUpdates) {
    this.#state = state;
    this.#updates = updates;
  }

  async check({ namespace, rwset, collections }: NamespaceSet): Promise<ReadCheck> {
    for (const read of rwset.getReadsList()) {
      if (!this.#isCurrent({ namespace, collection: '', key: read.getKey() }, read.getVersion())) {
        return peer.TxValidationCode.MVCC_READ_CONFLICT;
      }
    }
    for (const query of rwset.getRangeQueriesInfoList()) {
      if (!(await this.#holds(namespace, query))) {
        return peer.TxValidationCode.PHANTOM_READ_CONFLICT;
      }
    }
    for (const { name, rwset: hashed } of collections) {
      for (const read of hashed.getHashedReadsList()) {
        if (!this.#isCurrent({ namespace, collection: name, key: read.getKeyHash_asB64() }, read.getVersion())) {
          return peer.TxValidationCode.MVCC_READ_CONFLICT;
        }
      }
    }
    return peer.TxValidationCode.VALID;
  }

  #isCurrent(at: StateKey, read: ledger.rwset.kvrwset.Version | undefined): boolean {
    const current = this.#state.get(hashSpace(at.namespace, at.collection), at.key)?.version;
    const seen = read && { block: read.getBlockNum(), transaction: read.getTxNum() };
    return this.#updates.get(at) === undefined && sameVersion(current, seen);
  }

  /** Whether a range query would find now what it found then. */
  async #holds(namespace: string, query: RangeQueryInfo): Promise<boolean> {
    const results = new RangeQueryResults();
    for (const [key, version] of await this.#range(namespace, query)) {
      results.add(newKvRead(key, version));
    }
    const now = new ledger.rwset.kvrwset.RangeQueryInfo();
    results.writeTo(now);
    const then = query.cloneMessage();
    then.setStartKey('');
    then.setEndKey('');
    then.setItrExhausted(false);
    return Buffer.compare(now.serializeBinary(), then.serializeBinary()) === 0;
  }

  async #range(namespace: string, query: RangeQueryInfo): Promise<[string, Version][]> {
    const start = query.getStartKey();
    const isExhausted = query.getItrExhausted();
    if (!isExhausted && query.getEndKey() === '') {
      return []; // Opened, and nothing was read from it.
    }
    // The last key that was seen belongs to a range that was left before its end.
    const end = isExhausted ? query.getEndKey() : `${query.getEndKey()}\u0000`;
    const found = new Map<string, Version>();
    const iterator = this.#state.range(namespace, start, end);
    try {
      for (let entry = await iterator.next(); entry !== undefined; entry = await iterator.next()) {
        found.set(entry.key, entry.version);
      }
    } finally {
      await iterator.close();
    }
    for (const { key, value, version } of this.#updates.of(namespace)) {
      if (value === undefined) {
        found.delete(key);
      } else if (isWithin(key, start, end)) {
        found.set(key, version);
      }
    }
    return [...found].sort(([a], [b]) => compareKeys(a, b));
  }
}

function isWithin(key: string, start: string, end: string): boolean {
  return compareKeys(key, start) >= 0 && (end === '' || compareKeys(key, end) < 0);
}

function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
