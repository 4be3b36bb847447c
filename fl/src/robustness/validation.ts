// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { predict } from '../training/train.js';

const MILLION = 1_000_000;
const MAX_LOSS_MICRO = 2 ** 53 - 1;

/**
 * A model's mean squared error on validation data on the scale of the target, in whole millionths: what a validator states.
 *
 * @returns at most 2^53 − 1, however bad the model.
 * @throws as `predict`; DataError DATA_TOO_FEW_ROWS for an empty data set.
 */
export function lossMicro(parameters: Float32Array, layers: readonly number[], data: Dataset): number {
  let squares = 0;
  predict(parameters, layers, data).forEach((prediction, row) => {
    const error = prediction - (data.y[row] ?? Number.NaN);
    squares += error * error;
  });
  const loss = Math.round((MILLION * squares) / data.rows);
  return loss < MAX_LOSS_MICRO ? loss : MAX_LOSS_MICRO;
}
