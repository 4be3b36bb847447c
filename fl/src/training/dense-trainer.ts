// SPDX-License-Identifier: Apache-2.0
import { layerPlaces } from '../models/dense.js';
import { KERNEL } from './dense-kernel.js';
import type { SparseRows } from './sparse.js';

/** What `wasm/dense.ts` exports. */
interface Kernel {
  configure(...addresses: readonly number[]): void;
  accumulate(order: number, rows: number, delta: number): void;
  adam(from: number, to: number, rate: number, epsilon: number, proximal: number): void;
}

const PAGE_BYTES = 65_536;
/** Nothing lies at the addresses below. */
const FIRST_ADDRESS = 1_024;
const LAYER_WORDS = 9;

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

let loaded: { readonly kernel: Kernel; readonly memory: WebAssembly.Memory } | undefined;

/** One memory a thread: training is never under way twice in it. */
function load(): { readonly kernel: Kernel; readonly memory: WebAssembly.Memory } {
  if (loaded === undefined) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(Buffer.from(KERNEL, 'base64'));
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    loaded = { kernel: instance.exports as unknown as Kernel, memory };
  }
  return loaded;
}

/** A run of consecutive parameters. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How a step changes the parameters. */
export interface StepOptions {
  readonly learningRate: number;
  /** Strength μ of FedProx's pull towards the parameters that training began with; 0 for none. */
  readonly proximal: number;
  /** Huber's δ; 0 for the squared error. */
  readonly huber: number;
}

/**
 * Trains a dense network with Adam in float32, by the kernel in `wasm/dense.ts`. Only one is in use at a time in a thread:
 * a new one takes the memory of the one before.
 */
export class DenseTrainer {
  readonly #kernel: Kernel;
  readonly #parameters: Float32Array;
  readonly #order: Uint32Array;
  readonly #options: StepOptions;
  readonly #spans: readonly Span[];
  #power1 = 1;
  #power2 = 1;

  /**
   * @param parameters to begin with, length d.
   * @param y targets, one a row.
   * @param spans parameters to update. Those left out must never have a gradient: Adam would not move them.
   */
  constructor(
    layers: readonly number[],
    parameters: Float32Array,
    inputs: SparseRows,
    y: Float32Array,
    spans: readonly Span[],
    options: StepOptions,
  ) {
    const { kernel, memory } = load();
    const places = layerPlaces(layers);
    let next = FIRST_ADDRESS;
    /** Address of so many words, at a multiple of 16 bytes. */
    const reserve = (words: number): number => {
      const address = next;
      next += Math.ceil(words / 4) * 16;
      return address;
    };
    const d = parameters.length;
    const [model, gradient, first, second, base] = [reserve(d), reserve(d), reserve(d), reserve(d), reserve(d)];
    const [starts, columns, values] = [
      reserve(inputs.start.length),
      reserve(inputs.column.length),
      reserve(inputs.value.length),
    ];
    const [targets, order, table] = [reserve(y.length), reserve(y.length), reserve(places.length * LAYER_WORDS)];
    const words = places.flatMap(({ inputs: width, outputs, weights, biases }) => [
      ...[width, outputs, 4 * weights, 4 * biases],
      ...[reserve(width), reserve(width), 0],
      ...[reserve(outputs), reserve(outputs)],
    ]);
    const missing = next - memory.buffer.byteLength;
    if (missing > 0) {
      memory.grow(Math.ceil(missing / PAGE_BYTES));
    }
    const floats = (address: number, length: number): Float32Array => new Float32Array(memory.buffer, address, length);
    const integers = (address: number, length: number): Uint32Array => new Uint32Array(memory.buffer, address, length);
    this.#parameters = floats(model, d);
    this.#parameters.set(parameters);
    floats(base, d).set(parameters);
    [gradient, first, second].forEach((address) => floats(address, d).fill(0));
    integers(starts, inputs.start.length).set(inputs.start);
    integers(columns, inputs.column.length).set(inputs.column);
    floats(values, inputs.value.length).set(inputs.value);
    floats(targets, y.length).set(y);
    integers(table, words.length).set(words);
    this.#order = integers(order, y.length);
    kernel.configure(table, places.length, model, gradient, first, second, base, starts, columns, values, targets);
    this.#kernel = kernel;
    this.#spans = spans;
    this.#options = options;
  }

  /** Row numbers in the order in which batches are taken; to be shuffled in place. */
  get order(): Uint32Array {
    return this.#order;
  }

  /** One step over the rows order[from] … order[to − 1]. */
  step(from: number, to: number): void {
    const { learningRate, proximal, huber } = this.#options;
    this.#kernel.accumulate(this.#order.byteOffset + 4 * from, to - from, huber);
    this.#power1 *= BETA1;
    this.#power2 *= BETA2;
    // m̂ / (√v̂ + ε) with both bias corrections taken out of the loop.
    const root = Math.sqrt(1 - this.#power2);
    const rate = (learningRate * root) / (1 - this.#power1);
    for (const span of this.#spans) {
      this.#kernel.adam(span.from, span.to, rate, EPSILON * root, proximal);
    }
  }

  /** A copy of the parameters as they are now, length d. */
  parameters(): Float32Array {
    return this.#parameters.slice();
  }
}
