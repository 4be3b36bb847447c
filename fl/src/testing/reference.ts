// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';

/** A dense layer written as in a textbook: weights by [input][output]. */
interface ReferenceLayer {
  readonly weights: readonly (readonly number[])[];
  readonly biases: readonly number[];
}

/** Reads the flat parameters into matrices. */
export function referenceLayers(parameters: ArrayLike<number>, layers: readonly number[]): readonly ReferenceLayer[] {
  const flat = Array.from(parameters);
  return layers.slice(1).map((outputs, index) => {
    const inputs = layers[index] ?? 0;
    const weights = Array.from({ length: inputs }, () => flat.splice(0, outputs));
    return { weights, biases: flat.splice(0, outputs) };
  });
}

/** The output of a dense ReLU network for one row, every product computed. */
export function referencePredict(network: readonly ReferenceLayer[], input: readonly number[]): number {
  const output = network.reduce<readonly number[]>(
    (values, { weights, biases }, index) =>
      biases
        .map((bias, o) => values.reduce((sum, value, i) => sum + value * (weights[i]?.[o] ?? Number.NaN), bias))
        .map((z) => (index < network.length - 1 ? Math.max(0, z) : z)),
    input,
  );
  return output[0] ?? Number.NaN;
}

/** Mean squared error over the named rows. */
export function referenceLoss(
  parameters: ArrayLike<number>,
  layers: readonly number[],
  data: Dataset,
  rows: readonly number[],
): number {
  const network = referenceLayers(parameters, layers);
  const errors = rows.map((row) => {
    const input = Array.from(data.x.subarray(row * data.features, (row + 1) * data.features));
    return (referencePredict(network, input) - (data.y[row] ?? Number.NaN)) ** 2;
  });
  return errors.reduce((sum, error) => sum + error, 0) / rows.length;
}

/** Gradient of {@link referenceLoss} by central differences. */
export function referenceGradient(
  parameters: ArrayLike<number>,
  layers: readonly number[],
  data: Dataset,
  rows: readonly number[],
): number[] {
  const step = 1e-6;
  const values = Array.from(parameters);
  return values.map((value, i) => {
    const moved = (by: number): number => referenceLoss(values.with(i, value + by), layers, data, rows);
    return (moved(step) - moved(-step)) / (2 * step);
  });
}
