// SPDX-License-Identifier: Apache-2.0
import type { Optimizer, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { layers as layerFactory, Sequential } from '@tensorflow/tfjs-layers';
import type { Dataset } from '../data/dataset.js';
import { headLayers, type ModelSpec } from './model.js';
import type { Tfjs } from './tfjs-backends.js';

/** What is minimised. */
export interface LossOptions {
  /** Huber's δ; 0 for the squared error. */
  readonly huber: number;
  /** Strength μ of FedProx's pull towards the parameters that the network was made with; 0 for none. */
  readonly proximal: number;
}

/** One model in TensorFlow.js. Its tensors are freed by `dispose`; those of a call are freed in it. */
export class TfjsNetwork {
  readonly #tfjs: Tfjs;
  readonly #model: Sequential;
  readonly #variables: readonly Variable[];
  /** Copies of the variables at the start. */
  readonly #base: readonly Tensor[];
  /** Of one row. */
  readonly #inputShape: readonly number[];

  /** @param parameters length d. */
  constructor(tfjs: Tfjs, spec: ModelSpec, parameters: Float32Array) {
    const { core, layers } = tfjs;
    this.#tfjs = tfjs;
    this.#inputShape = inputShape(spec);
    this.#model = layers.sequential({ layers: newLayers(layers.layers, spec) });
    this.#variables = this.#model.trainableWeights
      .map((weight) => weight.read())
      .filter((weight) => weight instanceof core.Variable);
    let offset = 0;
    core.tidy(() => {
      for (const variable of this.#variables) {
        // A copy: the backend in plain JavaScript keeps the array that it is given.
        const values = parameters.slice(offset, offset + variable.size);
        variable.assign(core.tensor(values, variable.shape));
        offset += variable.size;
      }
    });
    this.#base = this.#variables.map((variable) => core.clone(variable));
  }

  /** One step of an optimiser over some rows. */
  step(data: Dataset, rows: Uint32Array, optimiser: Optimizer, options: LossOptions): void {
    const { core } = this.#tfjs;
    core.tidy(() => {
      const inputs = this.#inputs(data, rows);
      const targets = core.tensor1d(Float32Array.from(rows, (row) => data.y[row] ?? 0));
      optimiser.minimize(() => this.#loss(inputs, targets, options), false, [...this.#variables]);
    });
  }

  /** The outputs for some rows. */
  outputs(data: Dataset, rows: Uint32Array): Float32Array {
    return this.#tfjs.core.tidy(() => this.#forward(this.#inputs(data, rows)).dataSync<'float32'>());
  }

  /** The parameters as they are now, length d. */
  parameters(): Float32Array {
    const parts = this.#variables.map((variable) => variable.dataSync<'float32'>());
    const parameters = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let offset = 0;
    for (const part of parts) {
      parameters.set(part, offset);
      offset += part.length;
    }
    return parameters;
  }

  dispose(): void {
    this.#model.dispose();
    this.#tfjs.core.dispose([...this.#base]);
  }

  #inputs({ x, features }: Dataset, rows: Uint32Array): Tensor {
    const values = new Float32Array(rows.length * features);
    rows.forEach((row, index) => {
      values.set(x.subarray(row * features, (row + 1) * features), index * features);
    });
    return this.#tfjs.core.tensor(values, [rows.length, ...this.#inputShape]);
  }

  #forward(inputs: Tensor): Tensor {
    return this.#tfjs.core.reshape(this.#model.apply(inputs) as Tensor, [-1]);
  }

  #loss(inputs: Tensor, targets: Tensor, { huber, proximal }: LossOptions): Scalar {
    const { core } = this.#tfjs;
    const outputs = this.#forward(inputs);
    const error: Scalar =
      huber > 0
        ? core.losses.huberLoss(targets, outputs, undefined, huber)
        : core.losses.meanSquaredError(targets, outputs);
    return proximal > 0 ? core.add(error, this.#pull(proximal)) : error;
  }

  /** μ/2 · |w − w₀|². */
  #pull(proximal: number): Scalar {
    const { core } = this.#tfjs;
    const distances = this.#variables.map((variable, index) =>
      core.sum<Scalar>(core.squaredDifference(variable, this.#base[index] as Tensor)),
    );
    return core.mul(core.addN(distances), proximal / 2);
  }
}

function inputShape(spec: ModelSpec): readonly number[] {
  return spec.kind === 'dense' ? spec.layers.slice(0, 1) : [spec.steps, spec.features];
}

/** Parameters are set from outside, so nothing is spent on random ones. */
const UNSET = { kernelInitializer: 'zeros', biasInitializer: 'zeros' } as const;

function newLayers(factory: typeof layerFactory, spec: ModelSpec) {
  if (spec.kind === 'dense') {
    return newDenseLayers(factory, spec.layers);
  }
  const lstm = factory.lstm({
    ...UNSET,
    recurrentInitializer: 'zeros',
    unitForgetBias: false,
    units: spec.units,
    inputShape: [...inputShape(spec)],
    recurrentActivation: 'sigmoid',
  });
  return [lstm, ...newDenseLayers(factory, headLayers(spec))];
}

/** @param widths inputs first. */
function newDenseLayers(factory: typeof layerFactory, widths: readonly number[]) {
  return widths.slice(1).map((units, index) =>
    factory.dense({
      ...UNSET,
      units,
      inputDim: widths[index] ?? 0,
      activation: index + 2 < widths.length ? 'relu' : 'linear',
    }),
  );
}
