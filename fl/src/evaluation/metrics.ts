// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { LOG_PRICE_OFFSET } from '../data/features.js';
import { predict } from '../training/train.js';

export interface PriceMetrics {
  readonly rows: number;
  /** Coefficient of determination on ln(price); for a constant target 1 where it is met exactly, otherwise 0. */
  readonly r2: number;
  /** Mean absolute error, rupees. */
  readonly mae: number;
  /** Mean absolute error of ln(price). */
  readonly maeLog: number;
}

/** A broken model may predict anything; beyond e^30 rupees (10^13) the error is counted as if it were that. */
const MAX_LOG_PRICE = 30;

/**
 * Error of a price model.
 *
 * @param data encoded by `encodeCars`.
 * @throws as `predict`; DataError DATA_TOO_FEW_ROWS for an empty data set.
 */
export function evaluatePrice(parameters: Float32Array, layers: readonly number[], data: Dataset): PriceMetrics {
  return priceMetrics(predict(parameters, layers, data), data.y);
}

/** Compares predictions with targets, both ln(price) − 13. */
export function priceMetrics(predictions: Float32Array, targets: Float32Array): PriceMetrics {
  const rows = targets.length;
  const mean = targets.reduce((sum, y) => sum + y, 0) / rows;
  let squaredError = 0;
  let variation = 0;
  let absoluteLog = 0;
  let absoluteRupees = 0;
  targets.forEach((y, row) => {
    const prediction = predictions[row] ?? Number.NaN;
    squaredError += (prediction - y) ** 2;
    variation += (y - mean) ** 2;
    absoluteLog += Math.abs(prediction - y);
    absoluteRupees += Math.abs(rupees(prediction) - rupees(y));
  });
  const r2 = variation > 0 ? 1 - squaredError / variation : squaredError === 0 ? 1 : 0;
  return { rows, r2, mae: absoluteRupees / rows, maeLog: absoluteLog / rows };
}

function rupees(scaledLogPrice: number): number {
  return Math.exp(Math.min(scaledLogPrice + LOG_PRICE_OFFSET, MAX_LOG_PRICE));
}
