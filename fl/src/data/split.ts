// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../errors.js';
import { isTestRow, type CarRow, type CarTable } from './car.js';

/** Columns that a table can be sorted by before it is cut into clients of unlike data. */
export const SPLIT_COLUMNS = ['brand', 'seller', 'fuel', 'transmission', 'owner', 'year'] as const;
export type SplitColumn = (typeof SPLIT_COLUMNS)[number];
export const SPLITS = ['iid', ...SPLIT_COLUMNS] as const;
export type Split = (typeof SPLITS)[number];

export interface SplitOptions {
  /** `iid` or the column to sort by. */
  readonly split: string;
  readonly clients: number;
  /** Fewer training rows than this in any client are refused; 1 where not given. */
  readonly minRows?: number;
}

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
  const split = SPLITS.find((known) => known === name);
  if (split === undefined) {
    throw new DataError('SPLIT_UNKNOWN', `"${name}" is none of ${SPLITS.join(', ')}`);
  }
  return split;
}

/**
 * Splits a table into clients and a common test set, by the rows' hashes alone, so that everyone gets the same split.
 * - `iid`: client = uint32(hex digits 8-15 of the hash) mod clients.
 * - a column: training rows sorted by (column, hash), client i from floor(i·n/K) on.
 *
 * @throws DataError SPLIT_UNKNOWN, DATA_OPTION_INVALID, DATA_TOO_FEW_ROWS, DATA_CLIENT_EMPTY (names the client).
 */
export function splitTable(table: CarTable, options: SplitOptions): SplitTable {
  const split = parseSplit(options.split);
  const { clients: count, minRows = 1 } = options;
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(minRows) || minRows < 1) {
    throw new DataError('DATA_OPTION_INVALID', 'clients and minRows must be whole numbers from 1 on');
  }
  const training = table.rows.filter((row) => !isTestRow(row));
  const test = table.rows.filter(isTestRow);
  if (test.length === 0 || training.length < count * minRows) {
    throw new DataError(
      'DATA_TOO_FEW_ROWS',
      `${table.source} has ${String(training.length)} training and ${String(test.length)} test rows; ` +
        `${String(count)} clients of ${String(minRows)} rows and a test row are needed: use fewer clients or more data`,
    );
  }
  const { clients, clientTests } =
    split === 'iid' ? splitByHash(training, test, count) : splitByColumn(training, test, count, split);
  clients.forEach((rows, index) => {
    if (rows.length < minRows) {
      throw new DataError(
        'DATA_CLIENT_EMPTY',
        `client ${String(index)} of ${String(count)} gets ${String(rows.length)} training rows, ` +
          `${String(minRows)} are needed: use fewer clients or more data`,
      );
    }
  });
  return { split, clients, test, clientTests };
}

type Parts = Pick<SplitTable, 'clients' | 'clientTests'>;

function splitByHash(training: readonly CarRow[], test: readonly CarRow[], count: number): Parts {
  const clientOf = (row: CarRow): number => Number.parseInt(row.hash.slice(8, 16), 16) % count;
  return { clients: partition(training, count, clientOf), clientTests: partition(test, count, clientOf) };
}

function splitByColumn(
  training: readonly CarRow[],
  test: readonly CarRow[],
  count: number,
  column: SplitColumn,
): Parts {
  const compare = (a: CarRow, b: CarRow): number => compareKeys(a[column], b[column]) || compareKeys(a.hash, b.hash);
  const sorted = training.toSorted(compare);
  const start = (client: number): number => Math.floor((client * sorted.length) / count);
  const clients = Array.from({ length: count }, (_, i) => sorted.slice(start(i), start(i + 1)));
  // A test row belongs to the last client whose first training row does not come after it.
  const clientTests = partition(test, count, (row) => {
    const client = clients.findLastIndex(([first]) => first !== undefined && compare(first, row) <= 0);
    return Math.max(0, client);
  });
  return { clients, clientTests };
}

function partition(rows: readonly CarRow[], count: number, clientOf: (row: CarRow) => number): CarRow[][] {
  const parts = Array.from({ length: count }, (): CarRow[] => []);
  for (const row of rows) {
    parts[clientOf(row)]?.push(row);
  }
  return parts;
}

/** By UTF-16 code units: no locale, the same everywhere. */
function compareKeys(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
