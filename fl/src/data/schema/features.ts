// SPDX-License-Identifier: Apache-2.0
import { parseClockSeconds, parseNumber, type Cells, type CellFormat } from '../cells.js';
import { cyclic, phaseOf } from '../cyclic.js';
import { tokensOf, type FeatureWriter } from '../encode.js';
import { fnv1a } from '../fnv.js';
import {
  transformed,
  type CategoryColumn,
  type CyclicColumn,
  type FeatureColumn,
  type FlagColumn,
  type NumberColumn,
} from './schema.js';

/** A number of this size is a mistake in the file. */
const MAX_NUMBER = 1e15;

/** Number of features that a column gives. */
export function widthOf(feature: FeatureColumn): number {
  switch (feature.type) {
    case 'number':
      return 2;
    case 'category':
      return categoriesOf(feature).length;
    case 'text':
      return feature.buckets;
    case 'cyclic':
      return 2 * feature.harmonics;
    case 'flag':
      return 1;
  }
}

/**
 * Writes the features of a column in one line.
 *
 * @throws DataError DATA_NOT_A_NUMBER, DATA_OUT_OF_RANGE, DATA_NOT_A_TIME, DATA_VALUE_MISSING, DATA_VALUE_UNKNOWN
 */
export function writeFeature(writer: FeatureWriter, feature: FeatureColumn, cells: Cells<string>): void {
  const { column } = feature;
  switch (feature.type) {
    case 'number':
      writer.quantity(numberOf(feature, cells), feature);
      return;
    case 'category':
      writer.place(categoryOf(feature, cells), widthOf(feature));
      return;
    case 'text': {
      const value = cells.optional(column);
      writer.buckets(value === undefined ? [] : tokensOf(value), feature.buckets);
      return;
    }
    case 'cyclic':
      writer.number(...cyclic(turnsOf(feature, cells), feature.harmonics));
      return;
    case 'flag':
      writer.flag(flagOf(feature, cells));
  }
}

/** What all categories that a column does not hold are counted as. */
export const OTHER = 'other';

/** Names of a category column's features, in order; buckets are named by their number. */
export function categoriesOf(feature: CategoryColumn): readonly string[] {
  if ('buckets' in feature) {
    return feature.kept === undefined
      ? Array.from({ length: feature.buckets }, (_, bucket) => `#${String(bucket)}`)
      : [...feature.kept.map((bucket) => `#${String(bucket)}`), OTHER];
  }
  return feature.threshold === undefined ? feature.vocabulary : [...feature.vocabulary, OTHER];
}

/** Which of a column's features a line's category is; undefined for a missing value. @throws DataError DATA_VALUE_UNKNOWN */
export function categoryOf(feature: CategoryColumn, cells: Cells<string>): number | undefined {
  const { column } = feature;
  const value = cells.optional(column);
  if (value === undefined) {
    return undefined;
  }
  if ('buckets' in feature) {
    const bucket = fnv1a(value.toLowerCase()) % feature.buckets;
    const { kept } = feature;
    return kept === undefined ? bucket : kept.includes(bucket) ? kept.indexOf(bucket) : kept.length;
  }
  const { vocabulary, threshold } = feature;
  if (threshold === undefined) {
    cells.oneOf(column, vocabulary);
  }
  return vocabulary.includes(value) ? vocabulary.indexOf(value) : vocabulary.length;
}

/** The transformed number; undefined where it is missing. @throws DataError DATA_NOT_A_NUMBER, DATA_OUT_OF_RANGE */
export function numberOf({ column, transform }: NumberColumn, cells: Cells<string>): number | undefined {
  return cells.optional(column) === undefined
    ? undefined
    : transformed(transform, cells.number(column, transform === 'log1p' ? 0 : -MAX_NUMBER, MAX_NUMBER));
}

function turnsOf({ column, period }: CyclicColumn, cells: Cells<string>): number {
  return typeof period === 'number'
    ? cells.number(column, -MAX_NUMBER, MAX_NUMBER) / period
    : phaseOf(cells.clockSeconds(column), period);
}

function flagOf(feature: FlagColumn, cells: Cells<string>): boolean {
  const value = cells.optional(feature.column)?.toLowerCase();
  if (value === undefined || feature.false.some((known) => known.toLowerCase() === value)) {
    return false;
  }
  if (!feature.true.some((known) => known.toLowerCase() === value)) {
    const known = [...feature.true, ...feature.false].join(', ');
    throw cells.refusal('DATA_VALUE_UNKNOWN', feature.column, `"${value}" is none of ${known}`);
  }
  return true;
}

/** What rows are sorted by: the seconds of a time, or a number; undefined for anything else. */
export function orderOf(text: string, { decimal }: CellFormat): number | undefined {
  return parseClockSeconds(text) ?? parseNumber(text, decimal);
}
