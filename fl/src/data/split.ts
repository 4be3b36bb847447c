// SPDX-License-Identifier: Apache-2.0
import { isTestRow, type CarRow, type CarTable } from './car.js';
import {
  checkClientRows,
  checkedCounts,
  checkEnoughRows,
  checkTestRows,
  knownSplit,
  type SplitRequest,
} from './table.js';
import { sharesByHash, sharesByOrder, type Shares } from './shares.js';

/** Columns that a table can be sorted by before it is cut into clients of unlike data. */
export const SPLIT_COLUMNS = ['brand', 'seller', 'fuel', 'transmission', 'owner', 'year'] as const;
export type SplitColumn = (typeof SPLIT_COLUMNS)[number];
export const SPLITS = ['iid', ...SPLIT_COLUMNS] as const;
export type Split = (typeof SPLITS)[number];

export interface SplitTable {
  readonly split: Split;
  /** Training rows of each client. */
  readonly clients: readonly (readonly CarRow[])[];
  /** Fold 0 of the whole table. */
  readonly test: readonly CarRow[];
  /** The same test rows by the client whose kind of data they are; together they are `test`. Some may be empty. */
  readonly clientTests: readonly (readonly CarRow[])[];
}

/** @throws DataError SPLIT_UNKNOWN, which lists what is known. */
export function parseSplit(name: string): Split {
  return knownSplit(name, SPLITS);
}

/**
 * Splits a table into clients and a common test set, by the rows' hashes alone, so that everyone gets the same split.
 * - `iid`: client = uint32(hex digits 8-15 of the hash) mod clients.
 * - a column: training rows sorted by (column, hash), client i from floor(i·n/K) on.
 *
 * @throws DataError SPLIT_UNKNOWN, DATA_OPTION_INVALID, DATA_TOO_FEW_ROWS, DATA_CLIENT_EMPTY (names the client).
 */
export function splitTable(table: CarTable, request: SplitRequest): SplitTable {
  const split = parseSplit(request.split);
  const { clients, test, clientTests } = shareCars(table, request);
  checkTestRows(table.source, test.length);
  return { split, clients, test, clientTests };
}

/** The same for whoever trains alone and tests nothing: it may all be training rows. @throws as {@link splitTable}. */
export function shareCars(table: CarTable, request: SplitRequest): Shares<CarRow> {
  const split = parseSplit(request.split);
  return shareByFold(table, request, split === 'iid' ? undefined : (row: CarRow) => row[split]);
}

/**
 * Fold 0 for test, the other rows shared out among clients.
 *
 * @param keyOf what rows are sorted by; undefined where the hash alone decides.
 * @throws DataError DATA_OPTION_INVALID, DATA_TOO_FEW_ROWS, DATA_CLIENT_EMPTY
 */
export function shareByFold<Row extends { readonly hash: string }>(
  table: { readonly source: string; readonly rows: readonly Row[] },
  request: SplitRequest,
  keyOf: ((row: Row) => string | number) | undefined,
): Shares<Row> {
  const counts = checkedCounts(request);
  const rows = { training: table.rows.filter((row) => !isTestRow(row)), test: table.rows.filter(isTestRow) };
  checkEnoughRows(table.source, rows.training.length, counts);
  const shares = keyOf === undefined ? sharesByHash(rows, counts.clients) : sharesByOrder(rows, counts.clients, keyOf);
  checkClientRows(shares.clients, counts.minRows);
  return shares;
}
