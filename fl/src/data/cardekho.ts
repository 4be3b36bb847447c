// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { DataError } from '../errors.js';
import { FUELS, isTestRow, OWNERS, SELLERS, TRANSMISSIONS, type CarRow, type CarTable } from './car.js';
import { csvLines, decodeText, type CsvLine } from './lines.js';

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
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    if (reason === 'ENOENT' || reason === 'ENOTDIR') {
      throw new DataError('DATA_FILE_MISSING', `${path} does not exist; check the path`, {}, { cause });
    }
    throw new DataError('DATA_FILE_UNREADABLE', `${path} cannot be read (${reason})`, {}, { cause });
  }
  return parseCarTable(decodeText(bytes), basename(path), options);
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
  const position = columnPositions(header);
  const rows = lines.map((line) => carRow(line, position));
  const minRows = options.minRows ?? 1;
  if (rows.length < minRows) {
    throw new DataError(
      'DATA_TOO_FEW_ROWS',
      `${source} holds ${String(rows.length)} distinct rows, ${String(minRows)} are needed`,
    );
  }
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
export function testSetFingerprint(table: Pick<CarTable, 'rows'>): string {
  const hashes = table.rows.filter(isTestRow).map((row) => row.hash);
  return createHash('sha256').update(hashes.sort().join('')).digest('hex');
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function columnPositions(header: readonly string[]): ReadonlyMap<CarColumn, number> {
  const known: readonly string[] = [...CAR_COLUMNS, ...IGNORED_COLUMNS];
  const names = header.map((name) => name.trim());
  names.forEach((column, index) => {
    if (!known.includes(column)) {
      const detail = `unknown column; known are ${known.join(', ')}`;
      throw new DataError('DATA_COLUMN_UNKNOWN', detail, {
        line: 1,
        column: column === '' ? String(index + 1) : column,
      });
    }
    if (names.indexOf(column) !== index) {
      throw new DataError('DATA_COLUMN_UNKNOWN', 'the column is there twice', { line: 1, column });
    }
  });
  return new Map(
    CAR_COLUMNS.map((column) => {
      const index = names.indexOf(column);
      if (index < 0) {
        throw new DataError('DATA_COLUMN_MISSING', `needed are ${CAR_COLUMNS.join(', ')}`, { line: 1, column });
      }
      return [column, index];
    }),
  );
}

function carRow({ line, hash, cells }: CsvLine, position: ReadonlyMap<CarColumn, number>): CarRow {
  const text = (column: CarColumn): string => {
    const value = cells[position.get(column) ?? -1]?.trim() ?? '';
    if (value === '') {
      throw new DataError('DATA_VALUE_MISSING', 'the cell is empty', { line, column });
    }
    return value;
  };
  const number = (column: CarColumn, low: number, high: number): number => {
    const cell = cells[position.get(column) ?? -1]?.trim() ?? '';
    const value = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(cell) ? Number(cell) : Number.NaN;
    if (!Number.isFinite(value)) {
      throw new DataError('DATA_NOT_A_NUMBER', `"${cell}" is not a number`, { line, column });
    }
    if (value < low || value > high) {
      const detail = `${cell} is not between ${String(low)} and ${String(high)}`;
      throw new DataError('DATA_OUT_OF_RANGE', detail, { line, column });
    }
    return value;
  };
  const oneOf = <T extends string>(column: CarColumn, known: readonly T[]): T => {
    const value = text(column);
    const found = known.find((category) => category === value);
    if (found === undefined) {
      throw new DataError('DATA_VALUE_UNKNOWN', `"${value}" is none of ${known.join(', ')}`, { line, column });
    }
    return found;
  };
  const name = text('name');
  return {
    hash,
    name,
    brand: name.split(/\s+/, 1)[0] ?? name,
    year: number('year', 1900, 2100),
    priceRupees: number('selling_price', 1, 1e12),
    kilometres: number('km_driven', 0, 1e8),
    fuel: oneOf('fuel', FUELS),
    seller: oneOf('seller_type', SELLERS),
    transmission: oneOf('transmission', TRANSMISSIONS),
    owner: oneOf('owner', OWNERS),
  };
}
