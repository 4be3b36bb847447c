// SPDX-License-Identifier: Apache-2.0

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** A run of consecutive parameters. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * Adam (Kingma and Ba, 2015, algorithm 1). Powers of the decay rates come from repeated products and the rest is sums,
 * products, quotients and square roots, all exactly rounded: bit-identical on every machine.
 */
export class Adam {
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  readonly #learningRate: number;
  #power1 = 1;
  #power2 = 1;

  /** @param count number of parameters d. */
  constructor(count: number, learningRate: number) {
    this.#first = new Float64Array(count);
    this.#second = new Float64Array(count);
    this.#learningRate = learningRate;
  }

  /**
   * One step; the gradient is set to zero behind it.
   *
   * @param spans parameters to update. Those left out must never have had a gradient: Adam would not move them.
   */
  step(parameters: Float64Array, gradient: Float64Array, spans: readonly Span[]): void {
    this.#power1 *= BETA1;
    this.#power2 *= BETA2;
    // m̂ / (√v̂ + ε) with both bias corrections taken out of the loop.
    const root = Math.sqrt(1 - this.#power2);
    const rate = (this.#learningRate * root) / (1 - this.#power1);
    const epsilon = EPSILON * root;
    const first = this.#first;
    const second = this.#second;
    for (const { from, to } of spans) {
      for (let i = from; i < to; i++) {
        const g = gradient[i] as number;
        const m = BETA1 * (first[i] as number) + (1 - BETA1) * g;
        const v = BETA2 * (second[i] as number) + (1 - BETA2) * g * g;
        first[i] = m;
        second[i] = v;
        parameters[i] = (parameters[i] as number) - (rate * m) / (Math.sqrt(v) + epsilon);
        gradient[i] = 0;
      }
    }
  }
}
