// SPDX-License-Identifier: Apache-2.0
import { layerPlaces, type LayerPlace } from '../models/dense.js';
import type { SparseRows } from './sparse.js';

/** The entries of a vector that are not zero: entries from … to − 1 of `index` and `value`. */
interface SparseVector {
  index: Uint32Array;
  value: Float64Array;
  from: number;
  to: number;
}

interface Layer {
  readonly place: LayerPlace;
  readonly input: SparseVector;
  readonly output: Float64Array;
  /** Derivatives of the loss by the outputs before ReLU. */
  readonly delta: Float64Array;
}

/**
 * A dense network with ReLU between its layers and a linear end, one row at a time.
 *
 * All arithmetic is IEEE 754 double in a fixed order, with sums and products only: results are bit-identical on every
 * machine. Every layer takes its input as a list of the entries that are not zero: of the features most are zero, and
 * ReLU shuts about half of the units. A unit at zero counts as shut: nothing flows back through it.
 */
export class DenseNetwork {
  /** Length d; see {@link layerPlaces}. */
  readonly parameters: Float64Array;
  /** Length d; {@link DenseNetwork.accumulateGradient} adds to it. */
  readonly gradient: Float64Array;
  readonly places: readonly LayerPlace[];
  readonly #layers: readonly Layer[];

  constructor(layers: readonly number[], parameters: Float32Array) {
    this.places = layerPlaces(layers);
    this.parameters = new Float64Array(parameters);
    this.gradient = new Float64Array(parameters.length);
    this.#layers = this.places.map((place, l) => ({
      place,
      input: {
        index: new Uint32Array(l === 0 ? 0 : place.inputs),
        value: new Float64Array(l === 0 ? 0 : place.inputs),
        from: 0,
        to: 0,
      },
      output: new Float64Array(place.outputs),
      delta: new Float64Array(place.outputs),
    }));
  }

  /** The first output for row `row`. */
  forward(inputs: SparseRows, row: number): number {
    let previous: Float64Array | undefined;
    for (const { place, input, output } of this.#layers) {
      if (previous === undefined) {
        input.index = inputs.column;
        input.value = inputs.value;
        input.from = inputs.start[row] as number;
        input.to = inputs.start[row + 1] as number;
      } else {
        rectify(previous, input);
      }
      multiply(input, this.parameters, place, output);
      previous = output;
    }
    return previous?.[0] ?? 0;
  }

  /**
   * Adds the gradient of the row that {@link DenseNetwork.forward} ran on last to {@link DenseNetwork.gradient}.
   *
   * @param derivative of the loss by the output.
   */
  accumulateGradient(derivative: number): void {
    const last = this.#layers.length - 1;
    (this.#layers[last] as Layer).delta[0] = derivative;
    for (let l = last; l >= 0; l--) {
      const { place, input, delta } = this.#layers[l] as Layer;
      addOuterProduct(this.gradient, place, input, delta);
      if (l > 0) {
        multiplyTransposed(input, this.parameters, place, delta, (this.#layers[l - 1] as Layer).delta);
      }
    }
  }
}

/** ReLU: what is positive goes on. */
function rectify(output: Float64Array, next: SparseVector): void {
  const { index, value } = next;
  let count = 0;
  for (let i = 0; i < output.length; i++) {
    const x = output[i] as number;
    // Written as a negation, so that NaN goes on and is seen.
    if (!(x <= 0)) {
      index[count] = i;
      value[count] = x;
      count += 1;
    }
  }
  next.to = count;
}

/** output = biases + weightsᵀ · input, four inputs at a time, so that output is read and written a quarter as often. */
function multiply(input: SparseVector, parameters: Float64Array, place: LayerPlace, output: Float64Array): void {
  const { index, value, to } = input;
  const width = output.length;
  for (let o = 0; o < width; o++) {
    output[o] = parameters[place.biases + o] as number;
  }
  let k = input.from;
  for (; k + 3 < to; k += 4) {
    const a = place.weights + (index[k] as number) * width;
    const b = place.weights + (index[k + 1] as number) * width;
    const c = place.weights + (index[k + 2] as number) * width;
    const d = place.weights + (index[k + 3] as number) * width;
    const va = value[k] as number;
    const vb = value[k + 1] as number;
    const vc = value[k + 2] as number;
    const vd = value[k + 3] as number;
    for (let o = 0; o < width; o++) {
      output[o] =
        (output[o] as number) +
        (va * (parameters[a + o] as number) + vb * (parameters[b + o] as number)) +
        (vc * (parameters[c + o] as number) + vd * (parameters[d + o] as number));
    }
  }
  for (; k < to; k++) {
    const a = place.weights + (index[k] as number) * width;
    const va = value[k] as number;
    for (let o = 0; o < width; o++) {
      output[o] = (output[o] as number) + va * (parameters[a + o] as number);
    }
  }
}

/** Gradient of weights += input · deltaᵀ, of biases += delta. Four outputs at a time: a loop's own cost is in its turns. */
function addOuterProduct(gradient: Float64Array, place: LayerPlace, input: SparseVector, delta: Float64Array): void {
  const { index, value, from, to } = input;
  const width = delta.length;
  for (let o = 0; o < width; o++) {
    gradient[place.biases + o] = (gradient[place.biases + o] as number) + (delta[o] as number);
  }
  for (let k = from; k < to; k++) {
    const at = place.weights + (index[k] as number) * width;
    const factor = value[k] as number;
    let o = 0;
    for (; o + 3 < width; o += 4) {
      gradient[at + o] = (gradient[at + o] as number) + factor * (delta[o] as number);
      gradient[at + o + 1] = (gradient[at + o + 1] as number) + factor * (delta[o + 1] as number);
      gradient[at + o + 2] = (gradient[at + o + 2] as number) + factor * (delta[o + 2] as number);
      gradient[at + o + 3] = (gradient[at + o + 3] as number) + factor * (delta[o + 3] as number);
    }
    for (; o < width; o++) {
      gradient[at + o] = (gradient[at + o] as number) + factor * (delta[o] as number);
    }
  }
}

/** inputDelta = weights · delta where the unit was open, 0 elsewhere; four sums, because one would wait for itself. */
function multiplyTransposed(
  input: SparseVector,
  parameters: Float64Array,
  place: LayerPlace,
  delta: Float64Array,
  inputDelta: Float64Array,
): void {
  const { index, from, to } = input;
  const width = delta.length;
  inputDelta.fill(0);
  for (let k = from; k < to; k++) {
    const i = index[k] as number;
    const at = place.weights + i * width;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let o = 0;
    for (; o + 3 < width; o += 4) {
      s0 += (parameters[at + o] as number) * (delta[o] as number);
      s1 += (parameters[at + o + 1] as number) * (delta[o + 1] as number);
      s2 += (parameters[at + o + 2] as number) * (delta[o + 2] as number);
      s3 += (parameters[at + o + 3] as number) * (delta[o + 3] as number);
    }
    for (; o < width; o++) {
      s0 += (parameters[at + o] as number) * (delta[o] as number);
    }
    inputDelta[i] = s0 + s1 + (s2 + s3);
  }
}
