// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../../errors.js';
import {
  isSummed,
  type CategoryColumn,
  type FeatureColumn,
  type NumberColumn,
  type SummedCategory,
  type TableSchema,
} from '../schema/schema.js';
import type { CategoryStatistics, NumberStatistics, Statistics } from './read.js';

/** A category is kept only where three vehicles have it: shares of which none is above 1 add up to more than two. */
const LEAST_ADDED_SHARES = 2.5;

/** Where a model of statistics comes from. */
export interface StatisticsOrigin {
  /** SHA-256, hex, of the model. */
  readonly modelHash: string;
  /** Vehicles whose mean it is. */
  readonly vehicles: number;
}

/**
 * The schema with what it left to federated statistics: centre and scale of numbers with a range, the categories of those
 * with a threshold. The rest of the categories is `other`.
 *
 * @throws DataError DATA_COLUMN_EMPTY for a number that no vehicle has, DATA_COLUMN_CONSTANT for a number whose deviation
 *   the sums do not resolve and for categories none of which is kept; each names the column.
 */
export function withStatistics(
  schema: TableSchema,
  { columns, error }: Statistics,
  origin: StatisticsOrigin,
): TableSchema {
  const summed = schema.features.filter(isSummed);
  const features = schema.features.map((feature): FeatureColumn => {
    if (!isSummed(feature)) {
      return feature;
    }
    const statistics = columns[summed.indexOf(feature)];
    if (feature.type === 'number' && statistics?.type === 'number') {
      return scaledBy(feature, statistics);
    }
    if (feature.type === 'category' && statistics?.type === 'category') {
      return keptOf(feature, statistics, origin, error);
    }
    throw new DataError('STATISTICS_IMPLAUSIBLE', 'made for other columns', { column: feature.column });
  });
  return { ...schema, features, statisticsHash: origin.modelHash };
}

/** Deviations by which a share may seem larger than it is. */
const TAIL = 3;

function scaledBy(feature: NumberColumn, { column, mean, deviation }: NumberStatistics): NumberColumn {
  if (mean === undefined) {
    const detail = 'no vehicle has a value of it, or too few to tell: leave it out of the schema';
    throw new DataError('DATA_COLUMN_EMPTY', detail, { column });
  }
  if (deviation === undefined) {
    const detail =
      'its deviation over the vehicles is below what the sums resolve: leave it out, or declare low and high closer together';
    throw new DataError('DATA_COLUMN_CONSTANT', detail, { column });
  }
  return { ...feature, centre: mean, scale: deviation };
}

function keptOf(
  feature: SummedCategory,
  { column, categories }: CategoryStatistics,
  { vehicles }: StatisticsOrigin,
  error: number,
): CategoryColumn {
  // What rounding and noise may add to a share that is none.
  const least = Math.max(feature.threshold, LEAST_ADDED_SHARES / vehicles + TAIL * error);
  const isKept = (index: number): boolean => (categories[index]?.share ?? 0) >= least;
  const kept =
    'buckets' in feature
      ? { ...feature, kept: Array.from({ length: feature.buckets }, (_, bucket) => bucket).filter(isKept) }
      : { ...feature, vocabulary: feature.vocabulary.filter((_, index) => isKept(index)) };
  if (('kept' in kept ? kept.kept : kept.vocabulary).length === 0) {
    const detail = `no category has a share of ${least.toPrecision(3)} of the rows: lower its threshold, take more vehicles, or leave it out`;
    throw new DataError('DATA_COLUMN_CONSTANT', detail, { column });
  }
  return kept;
}
