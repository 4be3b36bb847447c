// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { CsvError, parse } from 'csv-parse/sync';
import { DataError } from '../errors.js';

/** One line of a file of separated values. */
export interface CsvLine {
  /** Line in the file, counted from 1. */
  readonly line: number;
  /** SHA-256 over the line without its end, hex. */
  readonly hash: string;
  readonly cells: readonly string[];
}

export interface CsvLines {
  readonly header: readonly string[];
  /** Distinct lines below the header, the first of each kept, in the order of the file. */
  readonly lines: readonly CsvLine[];
  /** Lines dropped because the same line came before. */
  readonly repeated: number;
}

interface ParsedRecord {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

/**
 * Reads a text file in UTF-8, a byte-order mark stripped.
 *
 * @throws DataError DATA_FILE_MISSING, DATA_FILE_UNREADABLE, DATA_MALFORMED
 */
export async function readText(path: string): Promise<string> {
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
  return decodeText(bytes);
}

/** Names in the first line of a file with commas. @throws DataError as {@link readText}. */
export async function readHeader(path: string): Promise<readonly string[]> {
  const [first = ''] = (await readText(path)).split(/\r?\n/, 1);
  return first.split(',').map((name) => name.trim());
}

/** Decodes UTF-8 and strips a byte-order mark. @throws DataError DATA_MALFORMED for other bytes. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError('DATA_MALFORMED', 'the file is not UTF-8 text; save it as CSV in UTF-8', {}, { cause });
  }
}

/**
 * Splits a CSV text into distinct lines: line ends (LF, CRLF, CR) and empty lines dropped, of repeated lines the first
 * kept. Rows are told apart by the text of the line, because 763 adverts of the CarDekho file repeat and would
 * otherwise sit in training and test data at once. So a quoted cell may hold separators, but no line end.
 *
 * @param separator what stands between two cells.
 * @throws DataError DATA_MALFORMED with the line: no header, an open quote, or another number of cells than the header.
 */
export function csvLines(text: string, separator = ','): CsvLines {
  const kept: { readonly line: number; readonly text: string }[] = [];
  const seen = new Set<string>();
  let repeated = 0;
  text.split(/\r\n|\n|\r/).forEach((lineText, index) => {
    if (lineText.trim() === '') {
      return;
    }
    if (seen.has(lineText)) {
      repeated += 1;
      return;
    }
    seen.add(lineText);
    kept.push({ line: index + 1, text: lineText });
  });

  const records = parseKept(kept, separator);
  const header = records[0]?.record;
  if (header === undefined) {
    throw new DataError('DATA_MALFORMED', 'the file is empty; a header line with column names is needed');
  }
  const lines: CsvLine[] = [];
  kept.forEach(({ line, text: lineText }, index) => {
    const cells = records[index]?.record;
    if (cells?.length !== header.length) {
      const found = cells === undefined ? 'no' : String(cells.length);
      throw new DataError('DATA_MALFORMED', `${found} cells where the header has ${String(header.length)}`, { line });
    }
    if (index > 0) {
      lines.push({ line, hash: createHash('sha256').update(lineText).digest('hex'), cells });
    }
  });
  return { header, lines, repeated };
}

function parseKept(
  kept: readonly { readonly line: number; readonly text: string }[],
  separator: string,
): readonly ParsedRecord[] {
  const lineInFile = (position: number): number => kept[position - 1]?.line ?? 0;
  let records: readonly ParsedRecord[];
  try {
    records = parse(kept.map((l) => l.text).join('\n'), {
      delimiter: separator,
      info: true,
      relax_column_count: true,
      record_delimiter: '\n',
    }) as unknown as readonly ParsedRecord[];
  } catch (cause) {
    if (!(cause instanceof CsvError)) {
      throw cause;
    }
    const position = typeof cause.lines === 'number' ? cause.lines : 1;
    // The parser notices an open quote only at the end of the text.
    const open = kept.find(({ text }) => (text.split('"').length - 1) % 2 === 1);
    throw new DataError('DATA_MALFORMED', cause.message, { line: open?.line ?? lineInFile(position) }, { cause });
  }
  records.forEach(({ info }, index) => {
    if (info.lines !== index + 1) {
      throw new DataError('DATA_MALFORMED', 'a quoted cell runs over the end of its line', {
        line: lineInFile(index + 1),
      });
    }
  });
  return records;
}
