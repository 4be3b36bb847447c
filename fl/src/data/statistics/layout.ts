// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../../errors.js';
import { categoriesOf } from '../schema/features.js';
import { isSummed, shortDigest, type SummedCategory, type SummedNumber, type TableSchema } from '../schema/schema.js';

/** The numbers of one column among those of a vehicle. */
export interface SummedColumn {
  readonly feature: SummedNumber | SummedCategory;
  /** Index of the column's first number. */
  readonly at: number;
  readonly width: number;
}

/**
 * What a vehicle reports of its rows: a vector of `width` numbers.
 *
 *   0        nothing; the task's own mark in the model that all begin with
 *   1        rows, at most {@link MOST_ROWS} of them, as a share of that number
 *   number   mean of u, mean of u², share missing; u = the value clipped to its range and scaled to [−1, 1], 0 where missing
 *   category share of each category, share missing
 *
 * all of them times `unit`, so that no vector is longer than 1 (Euclidean norm), whatever the rows.
 */
export interface StatisticsLayout {
  /** `statistics/`, the schema's name and 12 hex digits over the columns: what vehicles must agree on. */
  readonly name: string;
  readonly width: number;
  readonly unit: number;
  readonly columns: readonly SummedColumn[];
}

/** Index of the rows in a vector. */
export const ROWS_AT = 1;
const FIRST_COLUMN = 2;
/** A vehicle with more rows counts as one with so many. */
export const MOST_ROWS = 10_000;

const NUMBER_WIDTH = 3;

/** @throws DataError STATISTICS_NONE where no column leaves anything to statistics. */
export function statisticsLayout({ name, features }: TableSchema): StatisticsLayout {
  const columns: SummedColumn[] = [];
  let width = FIRST_COLUMN;
  // Rows are at most 1.
  let squares = 1;
  for (const feature of features) {
    if (isSummed(feature)) {
      const column = { feature, at: width, width: widthOf(feature) };
      columns.push(column);
      width += column.width;
      squares += largestSquare(feature);
    }
  }
  if (columns.length === 0) {
    const detail =
      'the schema declares all scales and categories: give a number column low and high, a category a threshold';
    throw new DataError('STATISTICS_NONE', detail);
  }
  const summed = columns.map(({ feature }) => feature);
  return {
    name: `statistics/${name}-${shortDigest([MOST_ROWS, summed])}`,
    width,
    unit: 1 / Math.sqrt(squares),
    columns,
  };
}

function widthOf(feature: SummedNumber | SummedCategory): number {
  return feature.type === 'number' ? NUMBER_WIDTH : categoriesOf(feature).length + 1;
}

/**
 * Bound on the square of a column's part. With a share p of values that are there: at most p² + p² + (1 − p)² ≤ 2 of a
 * number. The shares of a category column add up to 1, and so do their squares at the most.
 */
function largestSquare({ type }: SummedNumber | SummedCategory): number {
  return type === 'number' ? 2 : 1;
}
