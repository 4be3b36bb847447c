// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import {
  checkClientRows,
  checkedCounts,
  checkEnoughRows,
  checkTestRows,
  knownSplit,
  type LearningTable,
  type SplitRequest,
} from './table.js';

/** Rows by client, before they are encoded. */
export interface Shares<Row> {
  readonly clients: readonly (readonly Row[])[];
  readonly clientNames?: readonly string[];
  /** Training rows that are no client's. */
  readonly validation?: readonly Row[];
  readonly test: readonly Row[];
  readonly clientTests: readonly (readonly Row[])[];
}

/**
 * A table whose rows are shared out first and encoded when they are asked for.
 *
 * @param share throws what `LearningTable.split` may throw.
 * @param rankOf of a row, the same whatever the order of the file; those of lowest rank are kept for validation.
 */
export function newLearningTable<Row, S extends string>(
  facts: Omit<LearningTable, 'split' | 'clientData' | 'splits'> & { readonly splits: readonly S[] },
  share: (split: S, request: SplitRequest) => Shares<Row>,
  encode: (rows: readonly Row[]) => Dataset,
  rankOf: (row: Row) => string,
): LearningTable {
  const shared = (request: SplitRequest): Shares<Row> =>
    withoutValidation(
      facts.source,
      share(knownSplit(request.split, facts.splits), request),
      request.validationRows,
      rankOf,
    );
  return {
    ...facts,
    split: (request) => {
      const { clients, clientNames, validation, test, clientTests } = shared(request);
      checkTestRows(facts.source, test.length);
      return {
        split: request.split,
        clients: clients.map(encode),
        ...(clientNames === undefined ? {} : { clientNames }),
        ...(validation === undefined ? {} : { validation: encode(validation) }),
        test: encode(test),
        clientTests: clientTests.map(encode),
      };
    },
    clientData: (request, indices) => {
      const { clients } = shared(request);
      return indices.map((index) => {
        const rows = clients[index];
        if (rows === undefined) {
          throw new RangeError(`client ${String(index)} of ${String(clients.length)}`);
        }
        return encode(rows);
      });
    },
  };
}

/** Rank of a row that has a hash: other digits than those of fold and client. */
export function hashRank({ hash }: { readonly hash: string }): string {
  return hash.slice(16, 24);
}

/**
 * Takes the rows of lowest rank for validation, whatever the order of the file; each client keeps its last.
 *
 * @throws DataError DATA_OPTION_INVALID, DATA_TOO_FEW_ROWS
 */
function withoutValidation<Row>(
  source: string,
  shares: Shares<Row>,
  wanted: number | undefined,
  rankOf: (row: Row) => string,
): Shares<Row> {
  if (wanted === undefined) {
    return shares;
  }
  if (!Number.isInteger(wanted) || wanted < 1) {
    throw new DataError('DATA_OPTION_INVALID', 'validationRows must be a whole number from 1 on');
  }
  const ranks = new Map(shares.clients.flat().map((row) => [row, rankOf(row)]));
  const byRank = (a: Row, b: Row): number => compareKeys(ranks.get(a) ?? '', ranks.get(b) ?? '');
  const spare = shares.clients.flatMap((rows) => rows.toSorted(byRank).slice(0, -1)).sort(byRank);
  if (spare.length < wanted) {
    const detail = `${source} has ${String(spare.length)} rows to spare, ${String(wanted)} are to be kept for validation`;
    throw new DataError('DATA_TOO_FEW_ROWS', `${detail}: use more data or fewer clients`);
  }
  const validation = spare.slice(0, wanted);
  const isTaken = new Set(validation);
  return { ...shares, clients: shares.clients.map((rows) => rows.filter((row) => !isTaken.has(row))), validation };
}

/**
 * Checks the shares of natural clients against what was asked for.
 *
 * @throws DataError DATA_OPTION_INVALID for another number of clients than there are, DATA_TOO_FEW_ROWS,
 *   DATA_CLIENT_EMPTY
 */
export function naturalShares<Row>(source: string, shares: Shares<Row>, request: SplitRequest): Shares<Row> {
  const found = shares.clients.length;
  const counts = checkedCounts({ ...request, clients: request.clients ?? found });
  if (counts.clients !== found) {
    const detail = `${source} has ${String(found)} clients by ${request.split}, ${String(counts.clients)} were asked for`;
    throw new DataError('DATA_OPTION_INVALID', `${detail}: leave the number out or give this one`);
  }
  const training = shares.clients.reduce((sum, rows) => sum + rows.length, 0);
  // Named first: with natural clients it is of more use to know which one is too small.
  checkClientRows(shares.clients, counts.minRows, shares.clientNames);
  checkEnoughRows(source, training, counts);
  return shares;
}

/** Rows by client of a split that gives every distinct key a client of its own; clients in the order of their keys. */
export function sharesByKey<Row>(
  rows: { readonly training: readonly Row[]; readonly test: readonly Row[] },
  keyOf: (row: Row) => string,
): Shares<Row> {
  const training = groupBy(rows.training, keyOf);
  const test = groupBy(rows.test, keyOf);
  // Keys with test rows alone become clients too, so that they are refused by name and not dropped.
  const clientNames = [...new Set([...training.keys(), ...test.keys()])].sort(compareKeys);
  return {
    clients: clientNames.map((name) => training.get(name) ?? []),
    clientNames,
    test: rows.test,
    clientTests: clientNames.map((name) => test.get(name) ?? []),
  };
}

/** Client = uint32(hex digits 8-15 of the row's hash) mod `count`. */
export function sharesByHash<Row extends { readonly hash: string }>(
  rows: { readonly training: readonly Row[]; readonly test: readonly Row[] },
  count: number,
): Shares<Row> {
  const clientOf = (row: Row): number => Number.parseInt(row.hash.slice(8, 16), 16) % count;
  return {
    clients: partition(rows.training, count, clientOf),
    test: rows.test,
    clientTests: partition(rows.test, count, clientOf),
  };
}

/**
 * Training rows sorted by (key, hash), client i from floor(i·n/K) on: clients of equal size and unlike data.
 * A test row belongs to the last client whose first training row does not come after it.
 */
export function sharesByOrder<Row extends { readonly hash: string }>(
  rows: { readonly training: readonly Row[]; readonly test: readonly Row[] },
  count: number,
  keyOf: (row: Row) => string | number,
): Shares<Row> {
  const compare = (a: Row, b: Row): number => compareKeys(keyOf(a), keyOf(b)) || compareKeys(a.hash, b.hash);
  const sorted = rows.training.toSorted(compare);
  const start = (client: number): number => Math.floor((client * sorted.length) / count);
  const clients = Array.from({ length: count }, (_, i) => sorted.slice(start(i), start(i + 1)));
  const clientTests = partition(rows.test, count, (row) => {
    const client = clients.findLastIndex(([first]) => first !== undefined && compare(first, row) <= 0);
    return Math.max(0, client);
  });
  return { clients, test: rows.test, clientTests };
}

/** By UTF-16 code units: no locale, the same everywhere. */
export function compareKeys(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Rows by key, in the order in which the keys first come. */
export function groupBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = keyOf(row);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, [row]);
    } else {
      group.push(row);
    }
  }
  return groups;
}

function partition<Row>(rows: readonly Row[], count: number, clientOf: (row: Row) => number): Row[][] {
  const parts = Array.from({ length: count }, (): Row[] => []);
  for (const row of rows) {
    parts[clientOf(row)]?.push(row);
  }
  return parts;
}
