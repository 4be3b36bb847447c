// SPDX-License-Identifier: Apache-2.0
import { ModelError } from '../errors.js';
import { checkParameters } from '../models/dense.js';

/** What the average of a round does to the model. */
export type ServerOptimiser =
  /** The average is the next model (McMahan et al., 2017). */
  | { readonly kind: 'none' }
  /** v ← β·v + Δ, x ← x + η·v (Hsu, Qi and Brown, "Measuring the effects of non-identical data distribution", 2019). */
  | { readonly kind: 'momentum'; readonly rate: number; readonly beta1: number }
  /**
   * m ← β₁·m + (1 − β₁)·Δ, x ← x + η·m / (√v + τ) with v ← β₂·v + (1 − β₂)·Δ² (adam) or
   * v ← v − (1 − β₂)·Δ²·sign(v − Δ²) (yogi): Reddi et al., "Adaptive federated optimization", 2021, algorithm 2.
   */
  | {
      readonly kind: 'adam' | 'yogi';
      readonly rate: number;
      readonly beta1: number;
      readonly beta2: number;
      /** τ, how far the rate adapts; also the √v that training begins with. */
      readonly tau: number;
    };

/** What an optimiser remembers from round to round: its moments, one after the other; length 0, d or 2·d. */
export type ServerState = Float32Array;

/** Moments that an optimiser keeps a parameter. */
export function momentsOf({ kind }: ServerOptimiser): 0 | 1 | 2 {
  return kind === 'none' ? 0 : kind === 'momentum' ? 1 : 2;
}

/** @param count number of parameters d. */
export function initialServerState(optimiser: ServerOptimiser, count: number): ServerState {
  const state = new Float32Array(momentsOf(optimiser) * count);
  if (optimiser.kind === 'adam' || optimiser.kind === 'yogi') {
    state.fill(optimiser.tau ** 2, count);
  }
  return state;
}

/**
 * One step of the server. Sums, products, quotients and square roots in double precision of float32 numbers, each result
 * rounded once: everybody who computes it gets the same bits.
 *
 * @param base parameters that the round started from, length d.
 * @param average the round's average of parameters, length d.
 * @param state after the round before.
 * @throws ModelError MODEL_LENGTH, MODEL_NOT_FINITE; TRAINING_DIVERGED where the model would not be finite.
 */
export function serverStep(
  optimiser: ServerOptimiser,
  base: Float32Array,
  average: Float32Array,
  state: ServerState,
): { readonly parameters: Float32Array; readonly state: ServerState } {
  const count = base.length;
  checkParameters(average, count);
  checkParameters(state, momentsOf(optimiser) * count);
  if (optimiser.kind === 'none') {
    return { parameters: average.slice(), state: state.slice() };
  }
  const parameters = new Float32Array(count);
  const next = new Float32Array(state.length);
  for (let i = 0; i < count; i++) {
    const x = base[i] as number;
    const change = (average[i] as number) - x;
    parameters[i] = x + optimiser.rate * moved(optimiser, change, state, next, i, count);
  }
  if (!parameters.every(Number.isFinite)) {
    throw new ModelError('TRAINING_DIVERGED', 'the model is no longer finite; lower the rate of the server');
  }
  return { parameters, state: next };
}

/** Writes the moments of parameter i. @returns what the rate is multiplied with. */
function moved(
  optimiser: Exclude<ServerOptimiser, { kind: 'none' }>,
  change: number,
  state: ServerState,
  next: Float32Array,
  i: number,
  count: number,
): number {
  const { kind, beta1 } = optimiser;
  const before = state[i] as number;
  if (kind === 'momentum') {
    next[i] = beta1 * before + change;
    return next[i];
  }
  const { beta2, tau } = optimiser;
  const square = change * change;
  const second = state[count + i] as number;
  next[i] = beta1 * before + (1 - beta1) * change;
  next[count + i] =
    kind === 'adam'
      ? beta2 * second + (1 - beta2) * square
      : second - (1 - beta2) * square * Math.sign(second - square);
  return next[i] / (Math.sqrt(next[count + i] as number) + tau);
}
