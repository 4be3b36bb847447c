// SPDX-License-Identifier: Apache-2.0
import { ledger, peer } from '@hyperledger/fabric-protos';
import timestampProto from 'google-protobuf/google/protobuf/timestamp_pb.js';
import type { HistoryEntry, StateEntry, StateIterator, StateReader } from '../ledger/state.js';
import { RangeQueryRecorder } from './rangequery.js';
import { ReadWriteSetBuilder } from './rwset.js';

/** Results in one message to the chaincode; a longer answer is fetched in batches (Fabric `MaxResultLimit`). */
const BATCH_SIZE = 100;
/** Fabric's default of `ledger.state.totalQueryLimit`. */
const TOTAL_QUERY_LIMIT = 100_000;

/** Page of a range query. */
export interface Page {
  readonly size: number;
  readonly bookmark: string;
}

interface OpenQuery {
  readonly next: () => Promise<Uint8Array | undefined>;
  readonly close: () => Promise<void>;
  readonly limit: number;
  returned: number;
  /** A result that was read ahead to learn that there is more. */
  pending: Uint8Array | undefined;
}

/**
 * One simulation of a transaction: reads come from one snapshot and never see the transaction's own writes; reads,
 * writes and ranges are recorded for validation.
 */
export class TransactionSimulator {
  readonly #state: StateReader;
  readonly #namespace: string;
  readonly #rwset: ReadWriteSetBuilder;
  readonly #queries = new Map<string, OpenQuery>();
  #lastQueryId = 0;

  constructor(state: StateReader, namespace: string) {
    this.#state = state;
    this.#namespace = namespace;
    this.#rwset = new ReadWriteSetBuilder(namespace);
  }

  getState(key: string): Uint8Array | undefined {
    const found = this.#state.get(this.#namespace, key);
    this.#rwset.addRead(key, found?.version);
    return found?.value;
  }

  putState(key: string, value: Uint8Array): void {
    this.#rwset.addWrite(key, value);
  }

  deleteState(key: string): void {
    this.#rwset.addWrite(key, new Uint8Array());
  }

  /** Opens a range query and answers its first batch, or, with a page, exactly that page. */
  async getStateByRange(start: string, end: string, page?: Page): Promise<peer.QueryResponse> {
    const startKey = page === undefined || page.bookmark === '' ? start : page.bookmark;
    const iterator = this.#state.range(this.#namespace, startKey, end);
    const recorder = new RangeQueryRecorder(startKey, end);
    this.#rwset.addRangeQuery(recorder);
    const next = async (): Promise<Uint8Array | undefined> => {
      const entry = await iterator.next();
      if (entry === undefined) {
        recorder.exhausted();
        return undefined;
      }
      recorder.add(entry.key, entry.version);
      return keyValueBytes(this.#namespace, entry);
    };
    if (page !== undefined) {
      return this.#page(iterator, next, page);
    }
    return this.#open(next, () => iterator.close());
  }

  async getHistoryForKey(key: string): Promise<peer.QueryResponse> {
    const iterator = this.#state.history(this.#namespace, key);
    const next = async (): Promise<Uint8Array | undefined> => {
      const entry = await iterator.next();
      return entry === undefined ? undefined : keyModificationBytes(entry);
    };
    return this.#open(next, () => iterator.close());
  }

  /** @throws Error where no such query is open. */
  async nextResults(queryId: string): Promise<peer.QueryResponse> {
    const query = this.#queries.get(queryId);
    if (query === undefined) {
      throw new Error('query iterator not found');
    }
    return this.#batch(queryId, query);
  }

  async closeQuery(queryId: string): Promise<peer.QueryResponse> {
    await this.#queries.get(queryId)?.close();
    this.#queries.delete(queryId);
    const response = new peer.QueryResponse();
    response.setId(queryId);
    return response;
  }

  /** Closes what is open and answers the serialised read/write set. Call it once. */
  async finish(): Promise<Uint8Array> {
    await this.discard();
    return this.#rwset.build();
  }

  /** Closes what is open. */
  async discard(): Promise<void> {
    const open = [...this.#queries.values()];
    this.#queries.clear();
    await Promise.all(open.map((query) => query.close()));
  }

  async #page(
    iterator: StateIterator<StateEntry>,
    next: () => Promise<Uint8Array | undefined>,
    page: Page,
  ): Promise<peer.QueryResponse> {
    const limit = page.size > 0 ? Math.min(page.size, TOTAL_QUERY_LIMIT) : TOTAL_QUERY_LIMIT;
    const results: Uint8Array[] = [];
    let bookmark = '';
    try {
      for (;;) {
        const result = results.length < limit ? await next() : undefined;
        if (result === undefined) {
          break;
        }
        results.push(result);
      }
      if (results.length === limit) {
        bookmark = (await iterator.next())?.key ?? '';
      }
    } finally {
      await iterator.close();
    }
    const metadata = new peer.QueryResponseMetadata();
    metadata.setBookmark(bookmark);
    metadata.setFetchedRecordsCount(results.length);
    const response = queryResponse(this.#newQueryId(), results, false);
    response.setMetadata(metadata.serializeBinary());
    return response;
  }

  async #open(next: () => Promise<Uint8Array | undefined>, close: () => Promise<void>): Promise<peer.QueryResponse> {
    const id = this.#newQueryId();
    const query = { next, close, limit: TOTAL_QUERY_LIMIT, returned: 0, pending: undefined };
    this.#queries.set(id, query);
    return this.#batch(id, query);
  }

  async #batch(id: string, query: OpenQuery): Promise<peer.QueryResponse> {
    const results = query.pending === undefined ? [] : [query.pending];
    query.pending = undefined;
    while (query.returned < query.limit) {
      const result = await query.next();
      if (result === undefined) {
        break;
      }
      query.returned += 1;
      if (results.length === BATCH_SIZE) {
        query.pending = result;
        return queryResponse(id, results, true);
      }
      results.push(result);
    }
    await query.close();
    this.#queries.delete(id);
    return queryResponse(id, results, false);
  }

  #newQueryId(): string {
    this.#lastQueryId += 1;
    return String(this.#lastQueryId);
  }
}

function queryResponse(id: string, results: Uint8Array[], hasMore: boolean): peer.QueryResponse {
  const response = new peer.QueryResponse();
  response.setId(id);
  response.setHasMore(hasMore);
  response.setResultsList(
    results.map((bytes) => {
      const result = new peer.QueryResultBytes();
      result.setResultbytes(bytes);
      return result;
    }),
  );
  return response;
}

function keyValueBytes(namespace: string, entry: StateEntry): Uint8Array {
  const result = new ledger.queryresult.KV();
  result.setNamespace(namespace);
  result.setKey(entry.key);
  result.setValue(entry.value);
  return result.serializeBinary();
}

function keyModificationBytes(entry: HistoryEntry): Uint8Array {
  const timestamp = new timestampProto.Timestamp();
  timestamp.setSeconds(entry.timestamp.seconds);
  timestamp.setNanos(entry.timestamp.nanos);
  const result = new ledger.queryresult.KeyModification();
  result.setTxId(entry.transactionId);
  result.setValue(entry.value);
  result.setIsDelete(entry.isDelete);
  result.setTimestamp(timestamp);
  return result.serializeBinary();
}
