// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';

const MILLION = 1_000_000;
const MAX_LOSS_MICRO = 2 ** 53 - 1;

/**
 * A model's mean squared error on validation data on the scale of the target, in whole millionths: what a validator states.
 *
 * @param predictions of the model, one a row.
 * @param data at least one row.
 * @returns at most 2^53 − 1, however bad the model.
 */
export function lossMicro(predictions: Float32Array, data: Pick<Dataset, 'rows' | 'y'>): number {
  let squares = 0;
  predictions.forEach((prediction, row) => {
    const error = prediction - (data.y[row] ?? Number.NaN);
    squares += error * error;
  });
  const loss = Math.round((MILLION * squares) / data.rows);
  return loss < MAX_LOSS_MICRO ? loss : MAX_LOSS_MICRO;
}
