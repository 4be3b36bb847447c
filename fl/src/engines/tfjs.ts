// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from 'node:timers/promises';
import type { Dataset } from '../data/dataset.js';
import { ModelError } from '../errors.js';
import { newRandom } from '../random.js';
import { checkTrainingOptions, shuffle, type TrainingOptions } from '../training/train.js';
import type { Engine } from './engine.js';
import { Gate } from './gate.js';
import { checkInput, modelInitialParameters, modelParameterCount, type ModelBounds, type ModelSpec } from './model.js';
import type { OptionalPackage } from './native-package.js';
import { loadTfjs, type Tfjs, type TfjsBackend } from './tfjs-backends.js';
import { TfjsNetwork } from './tfjs-network.js';

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** Rows that are predicted at a time, which bounds the memory. */
const PREDICTED_ROWS = 1_024;

/** TensorFlow.js: dense layers and LSTMs. Its bits depend on backend, processor and version. */
export class TfjsEngine implements Engine {
  readonly name: `tfjs-${TfjsBackend}`;
  readonly architectures = ['dense', 'lstm'] as const;
  readonly isBitIdentical = false;
  readonly #tfjs: Tfjs;
  readonly #gate: Gate;

  private constructor(name: `tfjs-${TfjsBackend}`, tfjs: Tfjs, bounds: ModelBounds) {
    this.name = name;
    this.#tfjs = tfjs;
    this.#gate = new Gate(this, bounds);
  }

  /** @throws EngineError ENGINE_MISSING */
  static async load(backend: TfjsBackend, bounds: ModelBounds, native?: OptionalPackage): Promise<TfjsEngine> {
    return new TfjsEngine(`tfjs-${backend}`, await loadTfjs(backend, native), bounds);
  }

  parameterCount(spec: ModelSpec): number {
    this.#gate.check(spec);
    return modelParameterCount(spec);
  }

  initialParameters(spec: ModelSpec, seed: number): Float32Array {
    this.#gate.check(spec);
    return modelInitialParameters(spec, seed);
  }

  /** As in {@link Engine.train}; other work of the thread goes on between epochs. */
  async train(
    spec: ModelSpec,
    parameters: Float32Array,
    data: Dataset,
    options: TrainingOptions,
  ): Promise<Float32Array> {
    this.#gate.check(spec);
    checkTrainingOptions(options);
    checkInput(spec, parameters, data);
    const { core, activate } = this.#tfjs;
    activate();
    const network = new TfjsNetwork(this.#tfjs, spec, parameters);
    const optimiser = core.train.adam(options.learningRate, BETA1, BETA2, EPSILON);
    try {
      const loss = { huber: options.huber ?? 0, proximal: options.proximal ?? 0 };
      const order = Uint32Array.from({ length: data.rows }, (_, row) => row);
      const random = newRandom(options.seed);
      for (let epoch = 0; epoch < options.epochs; epoch++) {
        shuffle(order, random);
        for (let start = 0; start < order.length; start += options.batchSize) {
          network.step(data, order.subarray(start, start + options.batchSize), optimiser, loss);
        }
        await setImmediate();
        activate();
      }
      return finite(network.parameters());
    } finally {
      network.dispose();
      optimiser.dispose();
    }
  }

  async predict(spec: ModelSpec, parameters: Float32Array, data: Dataset): Promise<Float32Array> {
    this.#gate.check(spec);
    checkInput(spec, parameters, data);
    this.#tfjs.activate();
    const network = new TfjsNetwork(this.#tfjs, spec, parameters);
    try {
      const outputs = new Float32Array(data.rows);
      for (let start = 0; start < data.rows; start += PREDICTED_ROWS) {
        const length = Math.min(PREDICTED_ROWS, data.rows - start);
        const rows = Uint32Array.from({ length }, (_, index) => start + index);
        outputs.set(network.outputs(data, rows), start);
        await setImmediate();
        this.#tfjs.activate();
      }
      return outputs;
    } finally {
      network.dispose();
    }
  }

  /** The backend stays: TensorFlow.js has one a thread, and other engines may use it. */
  close(): void {
    this.#gate.close();
  }
}

function finite(parameters: Float32Array): Float32Array {
  if (!parameters.every(Number.isFinite)) {
    throw new ModelError('TRAINING_DIVERGED', 'the parameters are no longer finite; lower the learning rate');
  }
  return parameters;
}
