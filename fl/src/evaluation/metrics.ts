// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { PRICE_TARGET } from '../data/price-table.js';
import { toUnit, type Target } from '../data/target.js';
import { predict } from '../training/train.js';

/** Error of a model of any target. */
export interface Metrics {
  readonly rows: number;
  /** Coefficient of determination of what the target transforms its quantity to; for a constant target 1 where it is met exactly, else 0. */
  readonly r2: number;
  /** Mean absolute error in the target's unit. */
  readonly mae: number;
  /** Mean absolute error on the scale of the target, `rowScale` applied. */
  readonly maeScaled: number;
}

/**
 * Error of a model.
 *
 * @param data encoded with this target.
 * @throws as `predict`; DataError DATA_TOO_FEW_ROWS for an empty data set.
 */
export function evaluate(parameters: Float32Array, layers: readonly number[], target: Target, data: Dataset): Metrics {
  return metricsOf(target, predict(parameters, layers, data), data.y, data.rowScale);
}

/**
 * Compares predictions with targets, both scaled; their lengths are equal and not 0.
 *
 * @param rowScale see `Dataset`.
 */
export function metricsOf(
  target: Target,
  predictions: Float32Array,
  targets: Float32Array,
  rowScale?: Float32Array,
): Metrics {
  const rows = targets.length;
  const absoluteOf = (row: number, value: number): number => value * (rowScale?.[row] ?? 1);
  const mean = targets.reduce((sum, y, row) => sum + absoluteOf(row, y), 0) / rows;
  let squaredError = 0;
  let variation = 0;
  let absoluteScaled = 0;
  let absolute = 0;
  targets.forEach((scaledTarget, row) => {
    const y = absoluteOf(row, scaledTarget);
    const prediction = absoluteOf(row, predictions[row] ?? Number.NaN);
    squaredError += (prediction - y) ** 2;
    variation += (y - mean) ** 2;
    absoluteScaled += Math.abs(prediction - y);
    absolute += Math.abs(toUnit(target, prediction) - toUnit(target, y));
  });
  const r2 = variation > 0 ? 1 - squaredError / variation : squaredError === 0 ? 1 : 0;
  return { rows, r2, mae: absolute / rows, maeScaled: absoluteScaled / rows };
}

/**
 * Error of a price model.
 *
 * @param data encoded by `encodeCars`.
 * @throws as {@link evaluate}.
 */
export function evaluatePrice(parameters: Float32Array, layers: readonly number[], data: Dataset): Metrics {
  return evaluate(parameters, layers, PRICE_TARGET, data);
}
