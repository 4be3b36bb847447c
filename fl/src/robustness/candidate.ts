// SPDX-License-Identifier: Apache-2.0
import type { ServerOptimiser } from '../aggregation/server-optimiser.js';
import { correctedRound, type Contribution, type ServerPoint } from './correction.js';

/** What a round's sums came to, and what of them was the culprit's. */
export interface RoundStep {
  readonly kind: 'round';
  readonly round: number;
  /** Σ weight · update in units of 2^−f; its first d values count. */
  readonly total: Float64Array;
  /** Σ weights. */
  readonly weight: number;
  /** Absent where it counted nothing, or is not disputed. */
  readonly culprit?: Contribution | undefined;
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
  /** Round from which on the culprit's contributions are taken out. */
  readonly fromRound: number;
  /** Rounds that earlier corrections went back to: what they began with is remembered. */
  readonly marks?: ReadonlySet<number>;
}

/**
 * The model that a task would have without the culprit's opened contributions: each round's sums less weight · update, over
 * the weights that remain, move the model that the rounds before have come to, as the coordinator's sums once did. A round
 * that nobody else counted in moves nothing. Vehicles trained from models with the culprit in them, so it is a candidate and
 * no truth: validation decides.
 */
export class Candidate {
  readonly #terms: CandidateTerms;
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
    return this.#point.parameters;
  }

  /** @param step the next one, in the order in which they happened. */
  take(step: CorrectionStep): void {
    if (step.kind === 'round') {
      if (this.#terms.marks?.has(step.round) === true) {
        this.#began.set(step.round, this.#point);
      }
      this.#point = this.#after(step);
      return;
    }
    const back = this.#began.get(step.toRound) ?? step.began ?? this.#start;
    this.#point =
      step.kind === 'undone' ? back : { parameters: moved(this.#point.parameters, step), state: back.state };
  }

  #after({ round, total, weight, culprit }: RoundStep): ServerPoint {
    const { optimiser, fromRound } = this.#terms;
    const removed = culprit === undefined || round < fromRound ? [] : [culprit];
    const isEmpty = weight === removed.reduce((sum, one) => sum + one.weight, 0);
    return isEmpty ? this.#point : correctedRound(this.#point, { total, weight, removed }, this.#terms, optimiser);
  }
}

/** Candidates that are made at the most: each is a whole model. */
const MOST_CANDIDATES = 16;

/**
 * From how many of the last rounds a culprit may be taken out. What it did long ago others have made up for since, and taking
 * that out as well overshoots; how far back is best, validation tells. All numbers where they are few, else some, all among
 * them.
 *
 * @param counted disputed rounds that it counted in.
 */
export function depthsOf(counted: number): number[] {
  const step = Math.max(1, counted / MOST_CANDIDATES);
  const all = Array.from({ length: Math.min(counted, MOST_CANDIDATES) }, (_, index) => Math.round((index + 1) * step));
  return [...new Set(all)];
}

/**
 * Which candidate is proposed: the one with the lowest loss, of equal ones the one that leaves the most as it is.
 *
 * @param tried medians of the organisations' losses, by how many of the last rounds the culprit is taken out of.
 * @returns undefined where nothing was tried.
 */
export function chosenDepth(
  tried: readonly { readonly takenOut: number; readonly lossMicro: number }[],
): number | undefined {
  return [...tried].sort((a, b) => a.lossMicro - b.lossMicro || a.takenOut - b.takenOut)[0]?.takenOut;
}

function moved(model: Float32Array, { from, to }: MovedStep): Float32Array {
  return model.map((value, index) => value + ((to[index] ?? 0) - (from[index] ?? 0)));
}
