// SPDX-License-Identifier: Apache-2.0
import type { Cells } from '../cells.js';
import { checkDataset, type Dataset } from '../dataset.js';
import type { FeatureWriter } from '../encode.js';
import { categoryOf, numberOf } from '../schema/features.js';
import type { SummedNumber, TableSchema } from '../schema/schema.js';
import { readSchemaTable, type RowEncoding } from '../schema/table.js';
import type { LearningTable } from '../table.js';
import { MOST_ROWS, ROWS_AT, statisticsLayout, type StatisticsLayout, type SummedColumn } from './layout.js';

/**
 * A table whose rows are what each line adds to its client's statistics: the mean over a client's rows is what it reports,
 * see {@link reportedStatistics}.
 *
 * @param ofOneClient see `SchemaTableOptions`.
 * @throws DataError STATISTICS_NONE, and all that `readSchemaTable` throws.
 */
export async function readStatisticsTable(
  schema: TableSchema,
  path: string,
  ofOneClient = false,
): Promise<LearningTable> {
  return readSchemaTable(schema, path, { encoding: statisticsEncoding(statisticsLayout(schema)), ofOneClient });
}

export function statisticsEncoding({ name, width, unit, columns }: StatisticsLayout): RowEncoding {
  return {
    features: { name, width },
    // Whether a column is empty or constant is for the sums over all vehicles to say.
    varying: [],
    write: (writer, cells) => {
      writer.number(0, unit);
      for (const column of columns) {
        writeColumn(writer, column, cells, unit);
      }
    },
  };
}

function writeColumn(
  writer: FeatureWriter,
  { feature, width }: SummedColumn,
  cells: Cells<string>,
  unit: number,
): void {
  if (feature.type === 'number') {
    const value = numberOf(feature, cells);
    const u = value === undefined ? 0 : scaledToRange(feature, value);
    writer.number(u * unit, u * u * unit, value === undefined ? unit : 0);
  } else {
    const place = categoryOf(feature, cells) ?? width - 1;
    writer.number(...Array.from({ length: width }, (_, index) => (index === place ? unit : 0)));
  }
}

/** The value clipped to the range, from −1 to 1. */
function scaledToRange({ range, centre, scale }: SummedNumber, value: number): number {
  return (Math.min(range.high, Math.max(range.low, value)) - centre) / scale;
}

/**
 * What a client reports: the mean of its rows, with its number of rows in its place.
 *
 * @param data of a statistics table.
 * @returns length of the layout, Euclidean norm at most 1.
 * @throws DataError DATA_TOO_FEW_ROWS, DATA_NOT_FINITE
 */
export function reportedStatistics(data: Dataset): Float32Array {
  checkDataset(data);
  const { features, rows, x } = data;
  const mean = new Float64Array(features);
  x.forEach((value, index) => {
    const column = index % features;
    mean[column] = (mean[column] ?? 0) + value / rows;
  });
  mean[ROWS_AT] = ((mean[ROWS_AT] ?? 0) * Math.min(rows, MOST_ROWS)) / MOST_ROWS;
  return Float32Array.from(mean);
}
