// SPDX-License-Identifier: Apache-2.0
import { ModelError } from '../errors.js';
import { newRandom } from '../random.js';

/** One dense layer inside the flat parameters. */
export interface LayerPlace {
  readonly inputs: number;
  readonly outputs: number;
  /** First weight; the weight from input i to output o is at weights + i · outputs + o. */
  readonly weights: number;
  /** First bias; they follow the weights. */
  readonly biases: number;
}

/**
 * Where each layer lies in the flat parameters of a dense network: weights, then biases, layer after layer.
 * Weights are ordered by input, so that an input that is zero is skipped as one block.
 *
 * @param layers widths, inputs first, e.g. [140, 64, 32, 1].
 * @throws ModelError MODEL_LAYERS
 */
export function layerPlaces(layers: readonly number[]): readonly LayerPlace[] {
  if (layers.length < 2 || layers.some((width) => !Number.isInteger(width) || width < 1)) {
    throw new ModelError('MODEL_LAYERS', `[${layers.join(', ')}] must be two or more whole numbers from 1 on`);
  }
  const places: LayerPlace[] = [];
  let offset = 0;
  layers.slice(1).forEach((outputs, index) => {
    const inputs = layers[index] ?? 0;
    places.push({ inputs, outputs, weights: offset, biases: offset + inputs * outputs });
    offset += (inputs + 1) * outputs;
  });
  return places;
}

/** Number of parameters d: Σ (in + 1) · out. @throws ModelError MODEL_LAYERS */
export function parameterCount(layers: readonly number[]): number {
  return layerPlaces(layers).reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0);
}

/**
 * What the input layer starts smaller by, and the output layer larger, so that the output keeps its scale.
 * Adam moves every weight by about the learning rate a step, so small weights change faster in proportion: with the
 * little data of one client the feature weights learn in the few local epochs instead of staying near their noise, and
 * those of rare name tokens add less noise. Chosen on folds 2-4 of the CarDekho data with fold 1 as validation: 20 clients
 * after 10 rounds R² .815 against .761 with He's bound alone, 10 clients by brand .749 against .729, central .848
 * against .835.
 */
const INPUT_LAYER_SHRINK = 4;

/**
 * Initial parameters from a seeded generator: biases zero, weights uniform in ±√(6 / inputs) (He et al., "Delving deep
 * into rectifiers", 2015, uniform form), those of the input layer divided and those of the output layer multiplied
 * by 4. A network of one layer takes He's bound.
 *
 * @returns length d.
 * @throws ModelError MODEL_LAYERS
 */
export function initialParameters(layers: readonly number[], seed: number): Float32Array {
  const parameters = new Float32Array(parameterCount(layers));
  const random = newRandom(seed);
  const places = layerPlaces(layers);
  const last = places.length - 1;
  places.forEach(({ inputs, weights, biases }, layer) => {
    const shrink = layer === 0 ? INPUT_LAYER_SHRINK : 1;
    const growth = layer === last ? INPUT_LAYER_SHRINK : 1;
    const limit = (Math.sqrt(6 / inputs) * growth) / shrink;
    for (let i = weights; i < biases; i++) {
      parameters[i] = (2 * random.uniform() - 1) * limit;
    }
  });
  return parameters;
}

/** @throws ModelError MODEL_LENGTH, MODEL_NOT_FINITE */
export function checkParameters(parameters: Float32Array, count: number): void {
  if (parameters.length !== count) {
    const detail = `${String(parameters.length)} parameters where the model has ${String(count)}`;
    throw new ModelError('MODEL_LENGTH', detail);
  }
  for (let index = 0; index < count; index++) {
    if (!Number.isFinite(parameters[index])) {
      throw new ModelError('MODEL_NOT_FINITE', `parameter ${String(index)} is NaN or infinite`);
    }
  }
}
