// SPDX-License-Identifier: Apache-2.0
import { basename } from 'node:path';
import { DataError } from '../../errors.js';
import { isTestRow } from '../car.js';
import { testSetFingerprint } from '../cardekho.js';
import { Cells, checkRowCount, findColumns } from '../cells.js';
import { pickRows, type Dataset } from '../dataset.js';
import { FeatureWriter } from '../encode.js';
import { csvLines, readText } from '../lines.js';
import {
  compareKeys,
  groupBy,
  hashRank,
  naturalShares,
  newLearningTable,
  sharesByHash,
  sharesByKey,
  sharesByOrder,
  type Shares,
} from '../shares.js';
import {
  checkClientRows,
  checkedCounts,
  checkEnoughRows,
  type FeatureSet,
  type LearningTable,
  type SplitRequest,
} from '../table.js';
import { toScaled } from '../target.js';
import { orderOf, widthOf, writeFeature } from './features.js';
import { featureSetName, isSummed, schemaColumns, type TableSchema } from './schema.js';

/** A line of the file; its numbers are in the data set at `index`. */
interface SchemaRow {
  readonly index: number;
  readonly hash: string;
  readonly cells: Cells<string>;
}

interface Parts {
  readonly training: readonly SchemaRow[];
  readonly test: readonly SchemaRow[];
}

/** With one row a client learns nothing but that row. */
const MIN_CLIENT_ROWS = 2;

/** The feature set that a schema declares. */
export function schemaFeatures(schema: TableSchema): FeatureSet {
  return { name: featureSetName(schema), width: schema.features.reduce((sum, feature) => sum + widthOf(feature), 0) };
}

/**
 * Reads any file of separated values by a schema.
 *
 * @throws DataError DATA_FILE_MISSING, DATA_FILE_UNREADABLE and all of {@link parseSchemaTable}.
 */
export async function readSchemaTable(
  schema: TableSchema,
  path: string,
  options: SchemaTableOptions = {},
): Promise<LearningTable> {
  return parseSchemaTable(schema, await readText(path), basename(path), options);
}

export interface SchemaTableOptions {
  /** What is made of each line; default the features of the schema. */
  readonly encoding?: RowEncoding;
  /** The file holds the rows of one client alone: what is the same in all of them differs among clients. */
  readonly ofOneClient?: boolean;
}

/** What is made of a line besides its target. */
export interface RowEncoding {
  readonly features: FeatureSet;
  /** Columns that a file has to hold more than one value of. */
  readonly varying: readonly string[];
  /** Writes the line's features. @throws DataError */
  readonly write: (writer: FeatureWriter, cells: Cells<string>) => void;
}

/** What a model learns from: the schema's features. */
function featureEncoding(schema: TableSchema): RowEncoding {
  const { features, statisticsHash } = schema;
  return {
    varying: features
      // Of the others statistics have said that they vary over the vehicles.
      .filter((feature) => statisticsHash === undefined || !isSummed(feature))
      .map(({ column }) => column),
    features: schemaFeatures(schema),
    write: (writer, cells) => {
      for (const feature of features) {
        writeFeature(writer, feature, cells);
      }
    },
  };
}

/**
 * Reads a text by a schema. Columns that the schema does not speak of are not read.
 *
 * @throws DataError DATA_MALFORMED, DATA_COLUMN_MISSING (schema and file disagree), DATA_COLUMN_EMPTY,
 *   DATA_COLUMN_CONSTANT, DATA_TARGET_MISSING, DATA_VALUE_MISSING, DATA_VALUE_UNKNOWN, DATA_NOT_A_NUMBER,
 *   DATA_NOT_A_TIME, DATA_OUT_OF_RANGE (each with row or column), DATA_TOO_FEW_ROWS; its `split` also
 *   DATA_CLIENT_CONSTANT.
 */
export function parseSchemaTable(
  schema: TableSchema,
  text: string,
  source: string,
  { encoding = featureEncoding(schema), ofOneClient = false }: SchemaTableOptions = {},
): LearningTable {
  const { header, lines } = csvLines(text, schema.separator);
  const columns = findColumns(header, schemaColumns(schema), 'any');
  checkRowCount(source, lines.length, MIN_CLIENT_ROWS);
  const rows = lines.map((line, index): SchemaRow => ({
    index,
    hash: line.hash,
    cells: new Cells(line, columns, schema.format),
  }));
  if (!ofOneClient) {
    checkColumns(schema.target.column, encoding.varying, rows);
  }
  const data = encodeRows(schema, rows, encoding);
  const parts = partsOf(schema, rows);
  const facts = {
    source,
    features: encoding.features,
    target: schema.target,
    splits: ['iid', ...schema.splits.map(({ column }) => column)],
    rows: rows.length,
    testFingerprint: testSetFingerprint({ rows: parts.test }),
  };
  const share = (_: string, request: SplitRequest): Shares<SchemaRow> => {
    const minRows = request.minRows ?? MIN_CLIENT_ROWS;
    const shares = shareRows(schema, source, parts, { ...request, minRows });
    checkClientTargets(shares, data);
    return shares;
  };
  return newLearningTable(
    facts,
    share,
    (own) =>
      pickRows(
        data,
        own.map(({ index }) => index),
      ),
    hashRank,
  );
}

/** Columns without any value, or with one value alone, are a mistake in the schema or the file. */
function checkColumns(target: string, varying: readonly string[], rows: readonly SchemaRow[]): void {
  for (const column of new Set([target, ...varying])) {
    const wayOut = column === target ? 'there is nothing to predict' : 'leave it out of the schema';
    const values = new Set(rows.map(({ cells }) => cells.optional(column)));
    if (values.size > 1) {
      continue;
    }
    if (values.has(undefined)) {
      throw new DataError('DATA_COLUMN_EMPTY', `holds no value in any row: ${wayOut}`, { column });
    }
    const detail = `holds "${String([...values][0])}" in every row: ${wayOut}`;
    throw new DataError('DATA_COLUMN_CONSTANT', detail, { column });
  }
}

function encodeRows({ target }: TableSchema, rows: readonly SchemaRow[], encoding: RowEncoding): Dataset {
  const writer = new FeatureWriter(rows.length, encoding.features.width);
  for (const { cells } of rows) {
    encoding.write(writer, cells);
    if (cells.optional(target.column) === undefined) {
      throw cells.refusal('DATA_TARGET_MISSING', target.column, 'the target is empty: drop the row or fill it in');
    }
    const quantity = cells.number(target.column, target.transform === 'log' ? 1e-12 : -1e15, 1e15);
    writer.endRow(toScaled(target, quantity));
  }
  return writer.dataset();
}

function partsOf({ test, format }: TableSchema, rows: readonly SchemaRow[]): Parts {
  if (test.by === 'hash') {
    return { training: rows.filter((row) => !isTestRow(row)), test: rows.filter(isTestRow) };
  }
  const { column, percent, within } = test;
  const order = rows.map(({ cells }) => {
    const value = orderOf(cells.text(column), format);
    if (value === undefined) {
      throw cells.refusal('DATA_NOT_A_TIME', column, `"${cells.text(column)}" is neither a time nor a number`);
    }
    return value;
  });
  const groups = within === undefined ? [[...rows]] : groupBy(rows, ({ cells }) => cells.text(within)).values();
  const training: SchemaRow[] = [];
  const last: SchemaRow[] = [];
  for (const group of groups) {
    group.sort((a, b) => compareKeys(order[a.index] ?? 0, order[b.index] ?? 0) || compareKeys(a.hash, b.hash));
    const firstTest = Math.floor((group.length * (100 - percent)) / 100);
    training.push(...group.slice(0, firstTest));
    last.push(...group.slice(firstTest));
  }
  return { training, test: last };
}

function shareRows(schema: TableSchema, source: string, parts: Parts, request: SplitRequest): Shares<SchemaRow> {
  const by = schema.splits.find(({ column }) => column === request.split);
  if (by?.kind === 'values') {
    return naturalShares(
      source,
      sharesByKey(parts, ({ cells }) => cells.text(by.column)),
      request,
    );
  }
  const counts = checkedCounts(request);
  checkEnoughRows(source, parts.training.length, counts);
  const shares =
    by === undefined
      ? sharesByHash(parts, counts.clients)
      : sharesByOrder(parts, counts.clients, sortKeys(schema, by.column, parts));
  checkClientRows(shares.clients, counts.minRows);
  return shares;
}

/** A column of times or numbers throughout is sorted as such, any other as text. */
function sortKeys({ format }: TableSchema, column: string, parts: Parts): (row: SchemaRow) => string | number {
  const ordered = [...parts.training, ...parts.test].every(
    ({ cells }) => orderOf(cells.text(column), format) !== undefined,
  );
  return ({ cells }) => (ordered ? (orderOf(cells.text(column), format) ?? 0) : cells.text(column));
}

function checkClientTargets({ clients, clientNames }: Shares<SchemaRow>, { y }: Dataset): void {
  clients.forEach((rows, index) => {
    const first = y[rows[0]?.index ?? 0];
    if (rows.every((row) => y[row.index] === first)) {
      const name = clientNames?.[index];
      const client = `client ${String(index)} of ${String(clients.length)}${name === undefined ? '' : ` (${name})`}`;
      const detail = `${client} has the same target in all ${String(rows.length)} training rows: leave it out`;
      throw new DataError('DATA_CLIENT_CONSTANT', detail);
    }
  });
}
