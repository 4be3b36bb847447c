// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { checkParameters, parameterCount } from '../models/dense.js';
import { DenseNetwork } from './network.js';
import { preparedRows } from './sparse.js';

/**
 * The gradient of the mean squared error over all rows of a data set: what one step of plain gradient descent moves by,
 * but for the learning rate.
 *
 * @param parameters length d.
 * @param layers widths, inputs first; one output.
 * @returns length d, double precision.
 * @throws ModelError MODEL_LAYERS, MODEL_LENGTH, MODEL_NOT_FINITE; DataError DATA_TOO_FEW_ROWS, DATA_SHAPE, DATA_NOT_FINITE.
 */
export function lossGradient(parameters: Float32Array, layers: readonly number[], data: Dataset): Float64Array {
  checkParameters(parameters, parameterCount(layers));
  const inputs = preparedRows(data);
  const network = new DenseNetwork(layers, parameters);
  data.y.forEach((target, row) => {
    network.accumulateGradient((2 * (network.forward(inputs, row) - target)) / data.rows);
  });
  return network.gradient;
}
