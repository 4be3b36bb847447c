// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { DataError } from '../../errors.js';
import type { CellFormat } from '../cells.js';
import { PERIOD_SECONDS, type Period } from '../cyclic.js';
import type { Scaling } from '../encode.js';
import { readText } from '../lines.js';
import type { Target } from '../target.js';
import { Fields } from './fields.js';

/**
 * Two features: (transform(value) − centre)/scale and a missing flag. `log1p` is ln(1 + value), value ≥ 0.
 *
 * A column that declares a range in place of centre and scale takes them from federated statistics, and from the middle
 * and half of its range where there are none.
 */
export interface NumberColumn extends Scaling {
  readonly type: 'number';
  readonly column: string;
  readonly transform: 'none' | 'log1p';
  /** Public bounds of transform(value), not taken from any data: what statistics are clipped to. */
  readonly range?: { readonly low: number; readonly high: number };
}

interface Categories {
  readonly type: 'category';
  readonly column: string;
  /** Categories with a smaller share of the rows fall into `other`, once federated statistics have told the shares. */
  readonly threshold?: number;
}

/**
 * A feature for each category of the vocabulary, or hash buckets; a missing value sets none. With a threshold a vocabulary
 * has one more feature, `other`, for whatever it does not hold; so have buckets once only those that are `kept` are left.
 */
export type CategoryColumn =
  | (Categories & { readonly vocabulary: readonly string[] })
  | (Categories & { readonly buckets: number; readonly kept?: readonly number[] });

/** Hash buckets of lower-cased words. */
export interface TextColumn {
  readonly type: 'text';
  readonly column: string;
  readonly buckets: number;
}

/** Sine and cosine of a number's, or with a named period a time's, place in its period, for each harmonic. */
export interface CyclicColumn {
  readonly type: 'cyclic';
  readonly column: string;
  readonly period: number | Period;
  readonly harmonics: number;
}

/** 1 for one of the values of `true`, 0 for one of `false`; a missing value is 0. */
export interface FlagColumn {
  readonly type: 'flag';
  readonly column: string;
  readonly true: readonly string[];
  readonly false: readonly string[];
}

export type FeatureColumn = NumberColumn | CategoryColumn | TextColumn | CyclicColumn | FlagColumn;

/** A number with a range: its scale is left to statistics. */
export type SummedNumber = NumberColumn & Required<Pick<NumberColumn, 'range'>>;
/** Categories with a threshold: which are kept is left to statistics. */
export type SummedCategory = CategoryColumn & Required<Pick<CategoryColumn, 'threshold'>>;

/** `values`: each value of the column is a client. `sorted`: rows sorted by it are cut into clients of equal size. */
export interface SplitByColumn {
  readonly column: string;
  readonly kind: 'values' | 'sorted';
}

/**
 * `hash`: fold 0 of five by the hash of the line. `time`: the last `percent` of the rows sorted by a column of times or
 * numbers, of all rows or of those with the same value of the column `within`.
 */
export type TestRule =
  | { readonly by: 'hash' }
  | { readonly by: 'time'; readonly column: string; readonly percent: number; readonly within?: string };

/** What a CSV file holds and what is to be learned from it. */
export interface TableSchema {
  readonly name: string;
  readonly separator: string;
  readonly format: CellFormat;
  readonly target: Target & { readonly column: string };
  readonly features: readonly FeatureColumn[];
  readonly splits: readonly SplitByColumn[];
  readonly test: TestRule;
  /** SHA-256, hex, of the model of the federated statistics that the features follow from. */
  readonly statisticsHash?: string;
}

const MAX_BUCKETS = 4_096;
/** Decimals of the logarithm of a range's bound. */
const LOG_DIGITS = 6;
const PERIODS = Object.keys(PERIOD_SECONDS) as Period[];

/** Reads a schema from a JSON file. @throws DataError DATA_FILE_MISSING, DATA_FILE_UNREADABLE, DATA_SCHEMA_INVALID */
export async function readSchema(path: string): Promise<TableSchema> {
  const text = await readText(path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError('DATA_SCHEMA_INVALID', `${path} is not JSON: ${String(cause)}`, {}, { cause });
  }
  return parseSchema(value);
}

/**
 * Checks a schema and fills in what may be left out: separator `,`, decimal mark `.`, nothing but the empty cell for
 * missing values, transform `none`, offset and centre 0, scale 1 (of a column with a range its middle and half), no splits but `iid`, test by hash.
 *
 * @throws DataError DATA_SCHEMA_INVALID, which names the field.
 */
export function parseSchema(value: unknown): TableSchema {
  const known = ['name', 'separator', 'decimal', 'missing', 'target', 'features', 'splits', 'test'];
  const fields = new Fields(value, '', known);
  const name = fields.text('name');
  if (!/^[a-z0-9][a-z0-9._-]{0,49}$/.test(name)) {
    throw fields.invalid('name', 'must be of up to 50 small letters, digits, points, dashes and underscores');
  }
  const separator = fields.text('separator', ',');
  if (separator.length !== 1 || /["\r\n]/.test(separator)) {
    throw fields.invalid('separator', 'must be one character');
  }
  const decimal = fields.oneOf('decimal', ['.', ','], '.');
  if (decimal === separator && fields.has('decimal')) {
    throw fields.invalid('decimal', 'is the separator too');
  }
  const target = parseTarget(fields.value('target'));
  const features = fields.list('features').map((feature, index) => parseFeature(feature, `features[${String(index)}]`));
  if (features.length === 0) {
    throw fields.invalid('features', 'must hold a feature');
  }
  if (features.some(({ column }) => column === target.column)) {
    throw fields.invalid('features', `hold the target column ${target.column}`);
  }
  const splits = fields.list('splits', []).map((split, index) => parseSplitBy(split, `splits[${String(index)}]`));
  const names = ['iid', ...splits.map(({ column }) => column)];
  if (new Set(names).size !== names.length) {
    throw fields.invalid('splits', 'hold a column twice, or one of the name iid');
  }
  const format = { decimal, missing: fields.texts('missing', []) };
  return { name, separator, format, target, features, splits, test: parseTest(fields.value('test') ?? { by: 'hash' }) };
}

/** Hex digits of the statistics' hash in a name: with the rest of it, up to 100 characters. */
const STATISTICS_DIGITS = 32;

/**
 * `csv/`, the schema's name and 12 hex digits of SHA-256 over target and features: what updates must agree on. Where the
 * features follow from federated statistics, 32 hex digits of the hash of their model come last.
 */
export function featureSetName({ name, target, features, statisticsHash }: TableSchema): string {
  const origin = statisticsHash === undefined ? '' : `-${statisticsHash.slice(0, STATISTICS_DIGITS)}`;
  return `csv/${name}-${shortDigest([target, features])}${origin}`;
}

/** 12 hex digits of SHA-256 over plain data. */
export function shortDigest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}

/** The columns that a schema speaks of, each once. */
export function schemaColumns({ target, features, splits, test }: TableSchema): readonly string[] {
  const ofTest = test.by === 'time' ? [test.column, ...(test.within === undefined ? [] : [test.within])] : [];
  return [...new Set([target, ...features, ...splits].map(({ column }) => column).concat(ofTest))];
}

/** Whether a column leaves something to statistics. */
export function isSummed(feature: FeatureColumn): feature is SummedNumber | SummedCategory {
  return feature.type === 'number'
    ? feature.range !== undefined
    : feature.type === 'category' && feature.threshold !== undefined;
}

function parseTarget(value: unknown): TableSchema['target'] {
  const fields = new Fields(value, 'target', ['column', 'unit', 'transform', 'offset', 'scale']);
  return {
    column: fields.text('column'),
    unit: fields.text('unit'),
    transform: fields.oneOf('transform', ['none', 'log'], 'none'),
    offset: fields.number('offset', { fallback: 0 }),
    scale: fields.number('scale', { low: 1e-9, fallback: 1 }),
  };
}

const FEATURE_FIELDS = {
  number: ['centre', 'scale', 'transform', 'low', 'high'],
  category: ['vocabulary', 'buckets', 'threshold'],
  text: ['buckets'],
  cyclic: ['period', 'harmonics'],
  flag: ['true', 'false'],
} as const;
const FEATURE_TYPES = Object.keys(FEATURE_FIELDS) as (keyof typeof FEATURE_FIELDS)[];

function parseFeature(value: unknown, path: string): FeatureColumn {
  const type = new Fields(value, path).oneOf('type', FEATURE_TYPES);
  const fields = new Fields(value, path, ['column', 'type', ...FEATURE_FIELDS[type]]);
  const column = fields.text('column');
  const buckets = (): number => fields.number('buckets', { low: 1, high: MAX_BUCKETS, whole: true });
  switch (type) {
    case 'number': {
      const transform = fields.oneOf('transform', ['none', 'log1p'], 'none');
      return { type, column, transform, ...parseScaling(fields, transform) };
    }
    case 'category': {
      if (fields.has('vocabulary') === fields.has('buckets')) {
        throw fields.invalid('type', 'category needs either a vocabulary or a number of buckets');
      }
      const common = {
        ...{ type, column },
        ...(fields.has('threshold') ? { threshold: fields.number('threshold', { low: 0, high: 1 }) } : {}),
      };
      return fields.has('buckets')
        ? { ...common, buckets: buckets() }
        : { ...common, vocabulary: fields.texts('vocabulary') };
    }
    case 'text':
      return { type, column, buckets: buckets() };
    case 'cyclic':
      return {
        type,
        column,
        period:
          typeof fields.value('period') === 'number'
            ? fields.number('period', { low: 1e-9 })
            : fields.oneOf('period', PERIODS),
        harmonics: fields.number('harmonics', { low: 1, high: 16, whole: true, fallback: 1 }),
      };
    case 'flag':
      return {
        type,
        column,
        true: fields.texts('true', ['1', 'true', 'yes']),
        false: fields.texts('false', ['0', 'false', 'no']),
      };
  }
}

/** Centre and scale, or the range that they are in. */
function parseScaling(fields: Fields, transform: NumberColumn['transform']): Scaling & Pick<NumberColumn, 'range'> {
  if (!fields.has('low') && !fields.has('high')) {
    return {
      centre: fields.number('centre', { fallback: 0 }),
      scale: fields.number('scale', { low: 1e-9, fallback: 1 }),
    };
  }
  if (fields.has('centre') || fields.has('scale')) {
    throw fields.invalid('low', 'and high stand in place of centre and scale');
  }
  const low = fields.number('low', transform === 'log1p' ? { low: 0 } : {});
  const high = fields.number('high', { low });
  const bound = (value: number): number =>
    // Logarithms of different engines may differ in the last bits, and would give another name.
    transform === 'log1p' ? Number(transformed(transform, value).toFixed(LOG_DIGITS)) : value;
  const range = { low: bound(low), high: bound(high) };
  if (!(range.high - range.low > 1e-9)) {
    throw fields.invalid('high', 'must be above low');
  }
  return { centre: (range.low + range.high) / 2, scale: (range.high - range.low) / 2, range };
}

export function transformed(transform: NumberColumn['transform'], value: number): number {
  return transform === 'log1p' ? Math.log(1 + value) : value;
}

function parseSplitBy(value: unknown, path: string): SplitByColumn {
  const fields = new Fields(value, path, ['column', 'kind']);
  return { column: fields.text('column'), kind: fields.oneOf('kind', ['values', 'sorted'], 'values') };
}

function parseTest(value: unknown): TestRule {
  const by = new Fields(value, 'test', ['by', 'column', 'percent', 'within']).oneOf('by', ['hash', 'time']);
  if (by === 'hash') {
    new Fields(value, 'test', ['by']);
    return { by };
  }
  const fields = new Fields(value, 'test', ['by', 'column', 'percent', 'within']);
  return {
    by,
    column: fields.text('column'),
    percent: fields.number('percent', { low: 1, high: 99, whole: true, fallback: 20 }),
    ...(fields.has('within') ? { within: fields.text('within') } : {}),
  };
}
