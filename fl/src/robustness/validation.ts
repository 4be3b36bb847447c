// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { predict } from '../training/train.js';

const MILLION = 1_000_000;
const MAX_LOSS_MICRO = 2 ** 53 - 1;

/**
 * A dense model's loss on validation data; see {@link predictionLossMicro}.
 *
 * @throws as `predict`; DataError DATA_TOO_FEW_ROWS for an empty data set.
 */
export function lossMicro(parameters: Float32Array, layers: readonly number[], data: Dataset): number {
  return predictionLossMicro(predict(parameters, layers, data), data);
}

/**
 * A model's mean squared error on validation data on the scale of the target, in whole millionths: what a validator states.
 *
 * @param predictions of the model, one a row.
 * @param data at least one row.
 * @returns at most 2^53 − 1, however bad the model.
 */
export function predictionLossMicro(predictions: Float32Array, data: Pick<Dataset, 'rows' | 'y'>): number {
  let squares = 0;
  predictions.forEach((prediction, row) => {
    const error = prediction - (data.y[row] ?? Number.NaN);
    squares += error * error;
  });
  const loss = Math.round((MILLION * squares) / data.rows);
  return loss < MAX_LOSS_MICRO ? loss : MAX_LOSS_MICRO;
}
