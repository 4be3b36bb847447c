// SPDX-License-Identifier: Apache-2.0
import type { ChaincodeStub, Iterators } from 'fabric-shim-api';
import { canonicalJson, ContractError, type HistoryEntry, type LedgerEvent, type Page } from '../api';
import { BatchedStub, type StateWrite } from './batched-stub';
import { Collected } from './collected';
import { compositeKey, type Key, type Prefix } from './keys';
import { upgraded } from './migrations';
import type { StoredRecord } from './records';

interface PageOfState {
  readonly iterator: Iterators.StateQueryIterator;
  readonly metadata?: { readonly bookmark: string };
}

/**
 * Typed records over a ChaincodeStub, for one transaction. A record is read from the peer at most once; as on Fabric,
 * a read never sees what the same transaction wrote. Records that are asked for, or written, without waiting for each
 * other travel in one message.
 */
export class LedgerState {
  readonly #stub: ChaincodeStub;
  readonly #reads = new Map<string, Promise<StoredRecord | undefined>>();
  readonly #toRead: Collected<string, Uint8Array>;
  readonly #toWrite: Collected<StateWrite, undefined>;

  constructor(stub: ChaincodeStub) {
    this.#stub = stub;
    const batched = new BatchedStub(stub);
    this.#toRead = new Collected((keys) => batched.read(keys));
    this.#toWrite = new Collected((writes) => batched.write(writes));
  }

  get txId(): string {
    return this.#stub.getTxID();
  }

  /** The transaction's time: the client's choice, within the peers' time window. */
  get nowMs(): number {
    return this.#stub.getDateTimestamp().getTime();
  }

  async get<T extends StoredRecord>(address: Key<T>): Promise<T | undefined> {
    const name = compositeKey(this.#stub, address);
    let read = this.#reads.get(name);
    if (read === undefined) {
      read = this.#toRead.add(name).then((bytes) => (bytes.length === 0 ? undefined : decode(bytes, address)));
      this.#reads.set(name, read);
    }
    return (await read) as T | undefined;
  }

  async has(address: Key<StoredRecord>): Promise<boolean> {
    return (await this.get(address)) !== undefined;
  }

  async put<T extends StoredRecord>(address: Key<T>, record: T): Promise<void> {
    await this.#toWrite.add({ key: compositeKey(this.#stub, address), value: Buffer.from(canonicalJson(record)) });
  }

  async delete(address: Key<StoredRecord>): Promise<void> {
    await this.#toWrite.add({ key: compositeKey(this.#stub, address), value: undefined });
  }

  /** All records under a prefix, in key order; a range read, checked for phantoms when the transaction commits. */
  async scan<T extends StoredRecord>(range: Prefix<T>): Promise<T[]> {
    const records: T[] = [];
    for await (const { value } of this.#stub.getStateByPartialCompositeKey(range.docType, [...range.attributes])) {
      records.push(decode(value, range));
    }
    return records;
  }

  /** One page of the records under a prefix, in key order. Only for evaluated transactions. */
  async page<T extends StoredRecord>(range: Prefix<T>, pageSize: number, bookmark: string): Promise<Page<T>> {
    // An empty page has empty metadata, which the wire leaves out, and then the shim gives none.
    const found: PageOfState = await this.#stub.getStateByPartialCompositeKeyWithPagination(
      range.docType,
      [...range.attributes],
      pageSize,
      this.#startOf(range, bookmark),
    );
    const items: T[] = [];
    await drain(found.iterator, pageSize, ({ value }) => items.push(decode(value, range)));
    return { items, bookmark: Buffer.from(found.metadata?.bookmark ?? '').toString('base64url') };
  }

  /**
   * One page of a record's versions, newest first. Only for evaluated transactions. The bookmark counts versions, so a
   * version written between two pages shows the last one of the page before again.
   */
  async history<T extends StoredRecord>(
    address: Key<T>,
    pageSize: number,
    bookmark: string,
  ): Promise<Page<HistoryEntry<T>>> {
    const offset = parseOffset(bookmark);
    const iterator = await this.#stub.getHistoryForKey(compositeKey(this.#stub, address));
    const versions: Iterators.KeyModification[] = [];
    await drain(iterator, offset + pageSize + 1, (version) => versions.push(version));
    const items = versions.slice(offset, offset + pageSize).map(({ txId, timestamp, isDelete, value }) => ({
      txId,
      timestampMs: Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1e6),
      deleted: isDelete,
      value: isDelete ? null : decode<T>(value, address),
    }));
    return { items, bookmark: versions.length > offset + pageSize ? (offset + pageSize).toString() : '' };
  }

  /** The transaction's event; Fabric carries one a transaction, the last one set. */
  emit(event: LedgerEvent): void {
    this.#stub.setEvent(event.type, Buffer.from(canonicalJson(event)));
  }

  /** A bookmark is the key that a page starts with; it is only taken inside its own range. */
  #startOf(range: Prefix<StoredRecord>, bookmark: string): string {
    const start = Buffer.from(bookmark, 'base64url').toString();
    if (start !== '' && !start.startsWith(compositeKey(this.#stub, range))) {
      throw new ContractError('ARGUMENT_INVALID', 'bookmark: not one that this list returned');
    }
    return start;
  }
}

/** Whatever version of the contracts wrote it, what is read has the present form. */
function decode<T extends StoredRecord>(bytes: Uint8Array, address: Key<T>): T {
  const record = upgraded(JSON.parse(Buffer.from(bytes).toString()) as StoredRecord);
  if (record.docType !== address.docType) {
    throw new Error(`The ledger holds a ${record.docType} where a ${address.docType} belongs`);
  }
  return record as T;
}

async function drain<T>(iterator: Iterators.CommonIterator<T>, limit: number, take: (item: T) => void): Promise<void> {
  try {
    for (let count = 0; count < limit; count += 1) {
      const next = await iterator.next();
      if (next.done) {
        break;
      }
      take(next.value);
    }
  } finally {
    await iterator.close();
  }
}

function parseOffset(bookmark: string): number {
  if (!/^\d{0,15}$/.test(bookmark)) {
    throw new ContractError('ARGUMENT_INVALID', 'bookmark: not one that this list returned');
  }
  return Number(bookmark);
}
