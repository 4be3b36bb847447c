// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import type { StateIterator } from '../ledger/state.js';

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
  readonly results: StateIterator<Uint8Array>;
  returned: number;
  /** A result that was read ahead to learn that there is more. */
  pending: Uint8Array | undefined;
}

/** Queries of one transaction that the chaincode has not read to their ends. */
export class OpenQueries {
  readonly #open = new Map<string, OpenQuery>();
  #lastId = 0;

  /** Answers the first batch of serialised results. */
  start(results: StateIterator<Uint8Array>): Promise<peer.QueryResponse> {
    const id = this.#newId();
    const query = { results, returned: 0, pending: undefined };
    this.#open.set(id, query);
    return this.#batch(id, query);
  }

  /** Answers exactly one page. @param bookmark where the next one begins, once the page was read */
  async page(
    results: StateIterator<Uint8Array>,
    size: number,
    bookmark: () => Promise<string>,
  ): Promise<peer.QueryResponse> {
    const limit = size > 0 ? Math.min(size, TOTAL_QUERY_LIMIT) : TOTAL_QUERY_LIMIT;
    const read: Uint8Array[] = [];
    const metadata = new peer.QueryResponseMetadata();
    try {
      while (read.length < limit) {
        const result = await results.next();
        if (result === undefined) {
          break;
        }
        read.push(result);
      }
      metadata.setBookmark(read.length === limit ? await bookmark() : '');
    } finally {
      await results.close();
    }
    metadata.setFetchedRecordsCount(read.length);
    const response = queryResponse(this.#newId(), read, false);
    response.setMetadata(metadata.serializeBinary());
    return response;
  }

  /** @throws Error where no such query is open. */
  async next(id: string): Promise<peer.QueryResponse> {
    const query = this.#open.get(id);
    if (query === undefined) {
      throw new Error('query iterator not found');
    }
    return this.#batch(id, query);
  }

  async close(id: string): Promise<peer.QueryResponse> {
    await this.#open.get(id)?.results.close();
    this.#open.delete(id);
    return queryResponse(id, [], false);
  }

  async closeAll(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map(({ results }) => results.close()));
  }

  async #batch(id: string, query: OpenQuery): Promise<peer.QueryResponse> {
    const batch = query.pending === undefined ? [] : [query.pending];
    query.pending = undefined;
    while (query.returned < TOTAL_QUERY_LIMIT) {
      const result = await query.results.next();
      if (result === undefined) {
        break;
      }
      query.returned += 1;
      if (batch.length === BATCH_SIZE) {
        query.pending = result;
        return queryResponse(id, batch, true);
      }
      batch.push(result);
    }
    await query.results.close();
    this.#open.delete(id);
    return queryResponse(id, batch, false);
  }

  #newId(): string {
    this.#lastId += 1;
    return String(this.#lastId);
  }
}

function queryResponse(id: string, results: readonly Uint8Array[], hasMore: boolean): peer.QueryResponse {
  const response = new peer.QueryResponse();
  response.setId(id);
  response.setHasMore(hasMore);
  for (const bytes of results) {
    const result = new peer.QueryResultBytes();
    result.setResultbytes(bytes);
    response.addResults(result);
  }
  return response;
}
