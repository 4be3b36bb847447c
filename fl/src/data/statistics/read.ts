// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../../errors.js';
import { categoriesOf } from '../schema/features.js';
import type { SummedCategory, SummedNumber } from '../schema/schema.js';
import { MOST_ROWS, ROWS_AT, type StatisticsLayout, type SummedColumn } from './layout.js';

/** Federated statistics of a number column, of the transformed values that are there, clipped to the column's range. */
export interface NumberStatistics {
  readonly type: 'number';
  readonly column: string;
  /** Undefined where no more than noise is there, or no more than rounding. */
  readonly mean: number | undefined;
  /** Standard deviation; undefined where it is below what the sums resolve. */
  readonly deviation: number | undefined;
  /** Share of the rows. */
  readonly missing: number;
}

export interface CategoryStatistics {
  readonly type: 'category';
  readonly column: string;
  /** In the order of the column's categories; shares of the rows. */
  readonly categories: readonly { readonly name: string; readonly share: number }[];
  readonly missing: number;
}

export type ColumnStatistics = NumberStatistics | CategoryStatistics;

/**
 * Means over vehicles, each counting once whatever its number of rows: a mean is what the mean of a vehicle is in the mean,
 * a deviation that of a row drawn from a vehicle that was drawn before.
 */
export interface Statistics {
  /** Mean number of rows, a vehicle with more than {@link MOST_ROWS} counting as one with so many. */
  readonly rowsPerVehicle: number;
  /** Standard deviation of each share by rounding and noise; that of a mean, as a part of half its range, is of its size. */
  readonly error: number;
  readonly columns: readonly ColumnStatistics[];
}

/** Deviations within which a mean is looked for. */
const TAIL = 6;
/** Deviations that a variance must lie above to be told from none. */
const RESOLVED = 3;

/**
 * Reads the mean of the vehicles' vectors.
 *
 * @param model length of the layout.
 * @param deviation standard deviation of each of its numbers, by rounding and noise.
 * @throws DataError STATISTICS_IMPLAUSIBLE where a mean lies further outside its bounds than that explains: a vehicle
 *   reported what no rows give.
 */
export function readStatistics(layout: StatisticsLayout, model: Float32Array, deviation: number): Statistics {
  if (model.length !== layout.width) {
    const detail = `${String(model.length)} numbers, where the schema gives ${String(layout.width)}`;
    throw new DataError('STATISTICS_IMPLAUSIBLE', detail);
  }
  const error = deviation / layout.unit;
  const at = (index: number, low: number, column: string): number => {
    const value = (model[index] ?? Number.NaN) / layout.unit;
    if (!(value >= low - TAIL * error && value <= 1 + TAIL * error)) {
      const detail = `a mean of ${value.toPrecision(3)}, where all vehicles have one from ${String(low)} to 1`;
      throw new DataError('STATISTICS_IMPLAUSIBLE', detail, { column });
    }
    return Math.min(1, Math.max(low, value));
  };
  return {
    rowsPerVehicle: at(ROWS_AT, 0, 'rows') * MOST_ROWS,
    error,
    columns: layout.columns.map((column) => readColumn(column, at, error)),
  };
}

type ReadAt = (index: number, low: number, column: string) => number;

function readColumn({ feature, at, width }: SummedColumn, read: ReadAt, error: number): ColumnStatistics {
  const { column } = feature;
  const missing = read(at + width - 1, 0, column);
  return feature.type === 'number'
    ? numberStatistics(feature, read(at, -1, column), read(at + 1, 0, column), missing, error)
    : categoryStatistics(feature, (index) => read(at + index, 0, column), missing);
}

function numberStatistics(
  { column, centre, scale }: SummedNumber,
  first: number,
  second: number,
  missing: number,
  error: number,
): NumberStatistics {
  const there = 1 - missing;
  if (there <= RESOLVED * error) {
    return { type: 'number', column, mean: undefined, deviation: undefined, missing };
  }
  const mean = Math.min(1, Math.max(-1, first / there));
  const variance = Math.min(1, second / there) - mean * mean;
  const deviation = variance > (RESOLVED * error) / there ? Math.sqrt(variance) * scale : undefined;
  return { type: 'number', column, mean: centre + mean * scale, deviation, missing };
}

function categoryStatistics(
  feature: SummedCategory,
  shareAt: (index: number) => number,
  missing: number,
): CategoryStatistics {
  const categories = categoriesOf(feature).map((name, index) => ({ name, share: shareAt(index) }));
  return { type: 'category', column: feature.column, categories, missing };
}
