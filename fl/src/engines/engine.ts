// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import type { TrainingOptions } from '../training/train.js';
import type { Architecture, ModelSpec } from './model.js';

/** `tfjs` stands for `tfjs-node` where that is installed and works, and for `tfjs-wasm` elsewhere. */
export const ENGINE_NAMES = ['dense', 'tfjs', 'tfjs-cpu', 'tfjs-wasm', 'tfjs-node'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/**
 * What trains models and predicts with them. Parameters are flat and lie in one order for all engines, so that a model goes
 * from one to another: layer after layer, each with its weights (a row for each input) and then its biases; for an LSTM see
 * `lstmPlaces`.
 *
 * Every method that takes a model throws EngineError ENGINE_UNFIT, MODEL_TOO_LARGE, ENGINE_CLOSED and ModelError MODEL_LAYERS.
 */
export interface Engine {
  /** Never `tfjs`: the one that it stands for. */
  readonly name: Exclude<EngineName, 'tfjs'>;
  readonly architectures: readonly Architecture[];
  /** Whether the same input gives the same bits on every machine. Where not, nobody can recompute a training. */
  readonly isBitIdentical: boolean;

  /** Number of parameters d. */
  parameterCount(spec: ModelSpec): number;

  /** Length d; the same bits on every machine and from every engine. */
  initialParameters(spec: ModelSpec, seed: number): Float32Array;

  /**
   * Trains on one client's data: mean squared error or Huber's loss, Adam from a fresh state, rows shuffled each epoch by
   * the project's own generator.
   *
   * @param parameters length d, left as they are.
   * @returns new parameters, length d.
   * @throws ModelError MODEL_LENGTH, MODEL_NOT_FINITE, MODEL_INPUT_WIDTH, TRAINING_OPTION_INVALID, TRAINING_DIVERGED;
   *   DataError DATA_TOO_FEW_ROWS, DATA_SHAPE, DATA_NOT_FINITE.
   */
  train(spec: ModelSpec, parameters: Float32Array, data: Dataset, options: TrainingOptions): Promise<Float32Array>;

  /**
   * The model's output for each row.
   *
   * @returns length `data.rows`, on the scale of the target.
   * @throws as {@link Engine.train}, but for the options.
   */
  predict(spec: ModelSpec, parameters: Float32Array, data: Dataset): Promise<Float32Array>;

  /** Work that is under way is finished; what comes later is refused. */
  close(): void;
}
