// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { FUELS, isTestRow, OWNERS, SELLERS, TRANSMISSIONS, type CarRow, type CarTable } from './car.js';
import { Cells, checkRowCount, findColumns } from './cells.js';
import { csvLines, readText } from './lines.js';

/** Columns of `CAR DETAILS FROM CAR DEKHO.csv`, in the order of the file. */
export const CAR_COLUMNS = [
  'name',
  'year',
  'selling_price',
  'km_driven',
  'fuel',
  'seller_type',
  'transmission',
  'owner',
] as const;
export type CarColumn = (typeof CAR_COLUMNS)[number];

/** Columns of `Car details v3.csv` beyond the common ones: accepted, not used by the features of this version. */
export const IGNORED_COLUMNS: readonly string[] = ['mileage', 'engine', 'max_power', 'torque', 'seats'];

export interface ReadOptions {
  /** Fewer distinct rows than this are refused; 1 where not given. */
  readonly minRows?: number;
}

/**
 * Reads a file in the CarDekho columns (any order of columns; byte-order mark, LF or CRLF).
 *
 * @throws DataError DATA_FILE_MISSING, DATA_FILE_UNREADABLE and all of {@link parseCarTable}.
 */
export async function readCarDekho(path: string, options: ReadOptions = {}): Promise<CarTable> {
  return parseCarTable(await readText(path), basename(path), options);
}

/**
 * Parses a text in the CarDekho columns.
 *
 * @param source what the table calls itself in reports.
 * @throws DataError DATA_MALFORMED, DATA_COLUMN_MISSING, DATA_COLUMN_UNKNOWN, DATA_VALUE_MISSING, DATA_VALUE_UNKNOWN,
 *   DATA_NOT_A_NUMBER, DATA_OUT_OF_RANGE (each with row and column), DATA_TOO_FEW_ROWS.
 */
export function parseCarTable(text: string, source: string, options: ReadOptions = {}): CarTable {
  const { header, lines, repeated } = csvLines(text);
  const columns = findColumns(header, CAR_COLUMNS, IGNORED_COLUMNS);
  const rows = lines.map((line) => carRow(line.hash, new Cells(line, columns)));
  checkRowCount(source, rows.length, options.minRows);
  return { source, rows, repeated };
}

/**
 * Writes rows in the columns of the CarDekho file, LF line ends. Reading the text back gives the same rows; rows from
 * a file in that file's own column order keep their hashes.
 */
export function formatCarCsv(rows: readonly Omit<CarRow, 'hash' | 'brand'>[]): string {
  const lines = rows.map((row) =>
    [row.name, row.year, row.priceRupees, row.kilometres, row.fuel, row.seller, row.transmission, row.owner]
      .map((cell) => quoted(String(cell)))
      .join(','),
  );
  return [CAR_COLUMNS.join(','), ...lines, ''].join('\n');
}

/** SHA-256, hex, of the sorted hashes of the test rows joined without separator: two parties compare their test sets. */
export function testSetFingerprint(table: { readonly rows: readonly Pick<CarRow, 'hash'>[] }): string {
  const hashes = table.rows.filter(isTestRow).map((row) => row.hash);
  return createHash('sha256').update(hashes.sort().join('')).digest('hex');
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** The advert in a line's cells. @throws DataError DATA_VALUE_MISSING and the like, with row and column. */
export function carRow(hash: string, cells: Pick<Cells<CarColumn>, 'text' | 'number' | 'oneOf'>): CarRow {
  const name = cells.text('name');
  return {
    hash,
    name,
    brand: name.split(/\s+/, 1)[0] ?? name,
    year: cells.number('year', 1900, 2100),
    priceRupees: cells.number('selling_price', 1, 1e12),
    kilometres: cells.number('km_driven', 0, 1e8),
    fuel: cells.oneOf('fuel', FUELS),
    seller: cells.oneOf('seller_type', SELLERS),
    transmission: cells.oneOf('transmission', TRANSMISSIONS),
    owner: cells.oneOf('owner', OWNERS),
  };
}
