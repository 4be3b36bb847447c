// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { ModelError } from '../errors.js';
import { checkParameters, parameterCount } from '../models/dense.js';
import { newRandom, type Random } from '../random.js';
import { Adam, type Span } from './adam.js';
import { DenseNetwork } from './network.js';
import { preparedRows, type SparseRows } from './sparse.js';

export interface TrainingOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Decides the order of the rows in each epoch. */
  readonly seed: number;
}

/**
 * Trains a dense network on one client's data: mean squared error, Adam from a fresh state, rows shuffled each epoch.
 *
 * @param parameters length d, left as they are.
 * @param layers widths, inputs first; one output.
 * @returns new parameters, length d; the same bits for the same input on every machine.
 * @throws ModelError MODEL_LAYERS, MODEL_LENGTH, MODEL_NOT_FINITE, MODEL_INPUT_WIDTH, TRAINING_OPTION_INVALID,
 *   TRAINING_DIVERGED; DataError DATA_TOO_FEW_ROWS, DATA_SHAPE, DATA_NOT_FINITE.
 */
export function trainLocal(
  parameters: Float32Array,
  layers: readonly number[],
  data: Dataset,
  options: TrainingOptions,
): Float32Array {
  checkOptions(options);
  checkFit(parameters, layers, data);
  const inputs = preparedRows(data);
  const network = new DenseNetwork(layers, parameters);
  const adam = new Adam(parameters.length, options.learningRate);
  const spans = trainableSpans(network, inputs);
  const random = newRandom(options.seed);
  const order = Uint32Array.from({ length: data.rows }, (_, row) => row);
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    shuffle(order, random);
    for (let start = 0; start < order.length; start += options.batchSize) {
      const batch = order.subarray(start, start + options.batchSize);
      for (const row of batch) {
        const error = network.forward(inputs, row) - (data.y[row] ?? 0);
        network.accumulateGradient((2 * error) / batch.length);
      }
      adam.step(network.parameters, network.gradient, spans);
    }
  }
  const trained = new Float32Array(network.parameters);
  if (!trained.every(Number.isFinite)) {
    throw new ModelError('TRAINING_DIVERGED', 'the parameters are no longer finite; lower the learning rate');
  }
  return trained;
}

/**
 * The network's output for each row.
 *
 * @returns length `data.rows`, on the scale of the target.
 * @throws as {@link trainLocal}, but for the options.
 */
export function predict(parameters: Float32Array, layers: readonly number[], data: Dataset): Float32Array {
  checkFit(parameters, layers, data);
  const inputs = preparedRows(data);
  const network = new DenseNetwork(layers, parameters);
  return Float32Array.from({ length: data.rows }, (_, row) => network.forward(inputs, row));
}

function checkFit(parameters: Float32Array, layers: readonly number[], data: Dataset): void {
  checkParameters(parameters, parameterCount(layers));
  if (layers.at(-1) !== 1) {
    throw new ModelError('MODEL_LAYERS', `[${layers.join(', ')}] must end in one output`);
  }
  if (data.features !== layers[0]) {
    const detail = `${String(data.features)} features for ${String(layers[0])} inputs`;
    throw new ModelError('MODEL_INPUT_WIDTH', detail);
  }
}

function checkOptions({ epochs, batchSize, learningRate, seed }: TrainingOptions): void {
  const positive = [epochs, batchSize].every((n) => Number.isInteger(n) && n >= 1);
  if (!positive || !Number.isFinite(learningRate) || learningRate <= 0 || !Number.isInteger(seed)) {
    const detail = 'epochs and batchSize must be whole numbers from 1 on, learningRate positive, seed whole';
    throw new ModelError('TRAINING_OPTION_INVALID', detail);
  }
}

/** Weights of inputs that are zero in every row never get a gradient, so Adam need not visit them. */
function trainableSpans({ places, parameters }: DenseNetwork, { active }: SparseRows): readonly Span[] {
  const width = places[0]?.outputs ?? 0;
  const first = Array.from(active, (input) => ({ from: input * width, to: (input + 1) * width }));
  return [...first, { from: places[0]?.biases ?? 0, to: parameters.length }];
}

/** Fisher and Yates, as in Knuth, The Art of Computer Programming 2, algorithm 3.4.2 P. */
function shuffle(order: Uint32Array, random: Random): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const swapped = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = swapped;
  }
}
