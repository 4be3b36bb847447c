// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../errors.js';
import type { CsvLine } from './lines.js';

/** Where each column of a table stands in a line. */
export type Columns<C extends string> = ReadonlyMap<C, number>;

/**
 * Finds the wanted columns in a header, in any order.
 *
 * @param ignored columns that may be there but are not read; `any` for all others.
 * @throws DataError DATA_COLUMN_MISSING, DATA_COLUMN_UNKNOWN
 */
export function findColumns<C extends string>(
  header: readonly string[],
  wanted: readonly C[],
  ignored: readonly string[] | 'any' = [],
): Columns<C> {
  const names = header.map((name) => name.trim());
  const known: readonly string[] = ignored === 'any' ? names : [...wanted, ...ignored];
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
    wanted.map((column) => {
      const index = names.indexOf(column);
      if (index < 0) {
        const whole = names.length === 1 ? `; the header is one cell, "${names[0] ?? ''}": another separator?` : '';
        throw new DataError('DATA_COLUMN_MISSING', `needed are ${wanted.join(', ')}${whole}`, { line: 1, column });
      }
      return [column, index];
    }),
  );
}

/** How a file writes what is no plain text. */
export interface CellFormat {
  /** The mark between the whole and the broken part of a number. */
  readonly decimal: '.' | ',';
  /** What stands for a missing value besides an empty cell. */
  readonly missing: readonly string[];
}

export const PLAIN_FORMAT: CellFormat = { decimal: '.', missing: [] };

/** The cells of one line by column. Every refusal names the line and the column. */
export class Cells<C extends string> {
  readonly #line: CsvLine;
  readonly #columns: Columns<C>;
  readonly #format: CellFormat;

  constructor(line: CsvLine, columns: Columns<C>, format: CellFormat = PLAIN_FORMAT) {
    this.#line = line;
    this.#columns = columns;
    this.#format = format;
  }

  /** The trimmed text of a cell, undefined for a missing value. */
  optional(column: C): string | undefined {
    const text = this.#line.cells[this.#columns.get(column) ?? -1]?.trim() ?? '';
    return text === '' || this.#format.missing.includes(text) ? undefined : text;
  }

  /** @throws DataError DATA_VALUE_MISSING */
  text(column: C): string {
    const text = this.optional(column);
    if (text === undefined) {
      throw this.refusal('DATA_VALUE_MISSING', column, 'the cell is empty');
    }
    return text;
  }

  /** A number from low to high. @throws DataError DATA_NOT_A_NUMBER, DATA_OUT_OF_RANGE */
  number(column: C, low: number, high: number): number {
    return this.#number(column, this.optional(column) ?? '', low, high);
  }

  /**
   * A number from low to high that may be followed by a unit, as in "1248 CC"; undefined for a missing value and for a
   * unit alone.
   *
   * @throws DataError DATA_NOT_A_NUMBER, DATA_OUT_OF_RANGE
   */
  optionalQuantity(column: C, unit: RegExp, low: number, high: number): number | undefined {
    const text = this.optional(column)?.replace(unit, '').trim() ?? '';
    return text === '' ? undefined : this.#number(column, text, low, high);
  }

  /** @throws DataError DATA_VALUE_MISSING, DATA_VALUE_UNKNOWN */
  oneOf<T extends string>(column: C, known: readonly T[]): T {
    const value = this.text(column);
    const found = known.find((category) => category === value);
    if (found === undefined) {
      throw this.refusal('DATA_VALUE_UNKNOWN', column, `"${value}" is none of ${known.join(', ')}`);
    }
    return found;
  }

  /**
   * A time `YYYY-MM-DD hh:mm:ss` (seconds may be left out, a T may stand in the middle) on the clock of the place where
   * it was written, in seconds since 1970-01-01 00:00:00 of that clock. No time zone is applied.
   *
   * @throws DataError DATA_VALUE_MISSING, DATA_NOT_A_TIME
   */
  clockSeconds(column: C): number {
    const text = this.text(column);
    const seconds = parseClockSeconds(text);
    if (seconds === undefined) {
      throw this.refusal('DATA_NOT_A_TIME', column, `"${text}" is not a time like 2020-03-31 17:05:00`);
    }
    return seconds;
  }

  refusal(code: DataError['code'], column: C, detail: string): DataError {
    return new DataError(code, detail, { line: this.#line.line, column });
  }

  #number(column: C, text: string, low: number, high: number): number {
    const value = parseNumber(text, this.#format.decimal);
    if (value === undefined) {
      throw this.refusal('DATA_NOT_A_NUMBER', column, `"${text}" is not a number`);
    }
    if (value < low || value > high) {
      throw this.refusal('DATA_OUT_OF_RANGE', column, `${text} is not between ${String(low)} and ${String(high)}`);
    }
    return value;
  }
}

/** A finite decimal number with the given mark and no grouping of digits; undefined for anything else. */
export function parseNumber(text: string, decimal: CellFormat['decimal']): number | undefined {
  const plain = decimal === ',' ? text.replaceAll('.', ' ').replace(',', '.') : text;
  const value = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

/** See {@link Cells.clockSeconds}; undefined for what is no time, such as the 30th of February. */
export function parseClockSeconds(text: string): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?$/.exec(text);
  if (match === null) {
    return undefined;
  }
  const [, year, month, day, hour, minute, second = '00'] = match;
  const date = `${year ?? ''}-${month ?? ''}-${day ?? ''}T${hour ?? ''}:${minute ?? ''}:${second}`;
  const ms = Date.parse(`${date}.000Z`);
  return Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(date) ? undefined : ms / 1000;
}

/** The inverse of {@link parseClockSeconds}: `YYYY-MM-DD hh:mm:ss`. */
export function formatClockSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

/** @throws DataError DATA_TOO_FEW_ROWS */
export function checkRowCount(source: string, rows: number, minRows = 1): void {
  if (rows < minRows) {
    const detail = `${source} holds ${String(rows)} distinct rows, ${String(minRows)} are needed`;
    throw new DataError('DATA_TOO_FEW_ROWS', detail);
  }
}
