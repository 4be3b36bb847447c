// SPDX-License-Identifier: Apache-2.0
import { serverStep, type ServerOptimiser, type ServerState } from '@sev/fl';

/** A model with what the optimiser of the server remembers. */
export interface ServerPoint {
  /** Length d. */
  readonly model: Float32Array;
  readonly state: ServerState;
}

/** What a round's sums came to, and what of them was the culprit's. */
export interface RoundStep {
  readonly kind: 'round';
  readonly round: number;
  /** Σ weight · update in units of 2^−f; its first d values count. */
  readonly total: Float64Array;
  /** Σ weights. */
  readonly weight: number;
  readonly culprit?: { readonly weight: number; readonly vector: Int32Array } | undefined;
}

/** An earlier correction took the task back to what this round began with. */
export interface UndoneStep {
  readonly kind: 'undone';
  readonly toRound: number;
  /** What it began with, where that is before the first step. */
  readonly began?: ServerPoint | undefined;
}

/** An earlier correction took something else out of the model; the optimiser went back to where this round began. */
export interface MovedStep {
  readonly kind: 'moved';
  readonly from: Float32Array;
  readonly to: Float32Array;
  readonly toRound: number;
  readonly began?: ServerPoint | undefined;
}

export type CorrectionStep = RoundStep | UndoneStep | MovedStep;

export interface CandidateTerms {
  readonly optimiser: ServerOptimiser;
  /** f. */
  readonly fractionBits: number;
}

/**
 * The model that a task would have without the culprit's opened contributions: each round's sums less weight · update, divided
 * by the weights that remain, move the model that the rounds before have come to, as the coordinator's sums once did. A round
 * that nobody else counted in moves nothing. Vehicles trained from models with the culprit in them, so it is a candidate and
 * no truth: validation decides.
 *
 * Totals and updates are integers, the rest is double precision rounded once a step: everybody gets the same bits.
 */
export class Candidate {
  readonly #terms: CandidateTerms;
  /** What each round that was taken began with. */
  readonly #began = new Map<number, ServerPoint>();
  readonly #start: ServerPoint;
  #point: ServerPoint;

  /** @param start what the first disputed round began with. */
  constructor(start: ServerPoint, terms: CandidateTerms) {
    this.#terms = terms;
    this.#start = start;
    this.#point = start;
  }

  get model(): Float32Array {
    return this.#point.model;
  }

  /** @param step the next one, in the order in which they happened. */
  take(step: CorrectionStep): void {
    if (step.kind === 'round') {
      this.#began.set(step.round, this.#point);
      this.#point = afterRound(this.#point, step, this.#terms);
      return;
    }
    const back = this.#began.get(step.toRound) ?? step.began ?? this.#start;
    this.#point = step.kind === 'undone' ? back : { model: moved(this.#point.model, step), state: back.state };
  }
}

function afterRound(
  { model, state }: ServerPoint,
  { total, weight, culprit }: RoundStep,
  { optimiser, fractionBits }: CandidateTerms,
): ServerPoint {
  const left = weight - (culprit?.weight ?? 0);
  if (left <= 0) {
    return { model, state };
  }
  const divisor = left * 2 ** fractionBits;
  const average = model.map((value, index) => {
    const own = culprit === undefined ? 0 : culprit.weight * (culprit.vector[index] ?? 0);
    return value + ((total[index] ?? 0) - own) / divisor;
  });
  const next = serverStep(optimiser, model, average, state);
  return { model: next.parameters, state: next.state };
}

function moved(model: Float32Array, { from, to }: MovedStep): Float32Array {
  return model.map((value, index) => value + ((to[index] ?? 0) - (from[index] ?? 0)));
}

/** ‖a − b‖. */
export function distance(a: Float32Array, b: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    squares += difference * difference;
  }
  return Math.sqrt(squares);
}
