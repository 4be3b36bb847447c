// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { ModelError } from '../errors.js';
import { checkParameters, layerPlaces, parameterCount } from '../models/dense.js';
import { newRandom, type Random } from '../random.js';
import { DenseTrainer, type Span } from './dense-trainer.js';
import { DenseNetwork } from './network.js';
import { preparedRows, type SparseRows } from './sparse.js';

export interface TrainingOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Decides the order of the rows in each epoch. */
  readonly seed: number;
  /** Huber's loss with this δ in place of the squared error: outliers pull no harder than errors of δ. */
  readonly huber?: number | undefined;
  /** Strength μ of FedProx's term μ/2 · |w − w₀|² (Li et al., "Federated optimization in heterogeneous networks", 2020). */
  readonly proximal?: number | undefined;
}

/**
 * Trains a dense network on one client's data: mean squared error or Huber's loss, Adam from a fresh state, rows shuffled
 * each epoch, in float32.
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
  checkTrainingOptions(options);
  checkFit(parameters, layers, data);
  const inputs = preparedRows(data);
  const { epochs, batchSize, learningRate, huber = 0, proximal = 0 } = options;
  const spans = trainableSpans(layers, inputs);
  const trainer = new DenseTrainer(layers, parameters, inputs, data.y, spans, { learningRate, huber, proximal });
  const random = newRandom(options.seed);
  const { order } = trainer;
  order.forEach((_, row) => {
    order[row] = row;
  });
  for (let epoch = 0; epoch < epochs; epoch++) {
    shuffle(order, random);
    for (let start = 0; start < order.length; start += batchSize) {
      trainer.step(start, Math.min(start + batchSize, order.length));
    }
  }
  const trained = trainer.parameters();
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

/** @throws ModelError TRAINING_OPTION_INVALID */
export function checkTrainingOptions({
  epochs,
  batchSize,
  learningRate,
  seed,
  huber = 0,
  proximal = 0,
}: TrainingOptions): void {
  const positive = [epochs, batchSize].every((n) => Number.isInteger(n) && n >= 1);
  const isRate = Number.isFinite(learningRate) && learningRate > 0;
  const areBounds = [huber, proximal].every((value) => Number.isFinite(value) && value >= 0);
  if (!positive || !isRate || !areBounds || !Number.isInteger(seed)) {
    const detail =
      'epochs and batchSize must be whole numbers from 1 on, learningRate positive, seed whole, huber and proximal not negative';
    throw new ModelError('TRAINING_OPTION_INVALID', detail);
  }
}

/** Weights of inputs that are zero in every row never get a gradient, so Adam need not visit them. */
function trainableSpans(layers: readonly number[], { active }: SparseRows): readonly Span[] {
  const [place] = layerPlaces(layers);
  const width = place?.outputs ?? 0;
  const spans = Array.from(active, (input) => ({ from: input * width, to: (input + 1) * width }));
  return [...spans, { from: place?.biases ?? 0, to: parameterCount(layers) }].reduce(joined, []);
}

/** Adjacent spans are visited as one. */
function joined(spans: Span[], next: Span): Span[] {
  const last = spans.at(-1);
  return last?.to === next.from ? [...spans.slice(0, -1), { from: last.from, to: next.to }] : [...spans, next];
}

/** Fisher and Yates, as in Knuth, The Art of Computer Programming 2, algorithm 3.4.2 P. */
export function shuffle(order: Uint32Array, random: Random): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const swapped = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = swapped;
  }
}
