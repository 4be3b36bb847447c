// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { predict, trainLocal, type TrainingOptions } from '../training/train.js';
import type { Engine } from './engine.js';
import { Gate } from './gate.js';
import {
  modelInitialParameters,
  modelParameterCount,
  type DenseSpec,
  type ModelBounds,
  type ModelSpec,
} from './model.js';

/** The project's own trainer for dense layers: it skips inputs that are zero, and its bits are the same everywhere. */
export class DenseEngine implements Engine {
  readonly name = 'dense';
  readonly architectures = ['dense'] as const;
  readonly isBitIdentical = true;
  readonly #gate: Gate;

  constructor(bounds: ModelBounds) {
    this.#gate = new Gate(this, bounds);
  }

  parameterCount(spec: ModelSpec): number {
    return modelParameterCount(this.#checked(spec));
  }

  initialParameters(spec: ModelSpec, seed: number): Float32Array {
    return modelInitialParameters(this.#checked(spec), seed);
  }

  train(spec: ModelSpec, parameters: Float32Array, data: Dataset, options: TrainingOptions): Promise<Float32Array> {
    return promised(() => trainLocal(parameters, this.#checked(spec).layers, data, options));
  }

  predict(spec: ModelSpec, parameters: Float32Array, data: Dataset): Promise<Float32Array> {
    return promised(() => predict(parameters, this.#checked(spec).layers, data));
  }

  close(): void {
    this.#gate.close();
  }

  #checked(spec: ModelSpec): DenseSpec {
    this.#gate.check(spec);
    return spec as DenseSpec;
  }
}

/** What the work returns or throws, as a promise. */
function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}
