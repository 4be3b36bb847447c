// SPDX-License-Identifier: Apache-2.0
import {
  deriveSeed,
  encodeCars,
  initialParameters,
  lossGradient,
  PRICE_LAYERS,
  PRICE_TRAINING,
  trainLocal,
  type CarRow,
  type Dataset,
} from '@sev/fl';
import { dot } from '../least-squares.js';
import { marginalGuess, readRecords, scoreGuesses, type CarGuess, type GuessScore } from './car-guess.js';
import { invertUpdate, type Inversion } from './inversion.js';
import {
  DEFAULT_FORMAT,
  estimateFromProjections,
  roundVectors,
  shareUpdate,
  sumHeldBy,
  type SharedUpdate,
} from './views.js';

export interface LeakOptions {
  /** Vehicles' records, one vehicle after the other. */
  readonly victims: readonly CarRow[];
  /** Other cars of the same market, which the attacker knows. */
  readonly market: readonly CarRow[];
  /** Records of each vehicle, all in its one batch. */
  readonly records: number;
  readonly seed: number;
}

/** What an attacker learns of the records, by what it sees. Smaller errors and larger shares are worse for privacy. */
export interface Leaks {
  /** Nothing: the marginal guess for every record. */
  readonly marginal: GuessScore;
  /** Nothing: other cars of the market, which matching to the records in the attacker's favour makes look better. */
  readonly random: GuessScore;
  /** One step of plain gradient descent, in the clear. */
  readonly gradient: GuessScore;
  /** The update of local training with the default settings, in the clear: mode `plain`. */
  readonly plain: GuessScore;
  /** The shares of two of three aggregators: more than the threshold bears. */
  readonly twoAggregators: GuessScore;
  /** The shares of one aggregator: mode `secure`. */
  readonly oneAggregator: GuessScore;
  /** The K projections that are opened in mode `secure`, by linear estimate. */
  readonly projections: GuessScore;
  /** The same numbers, compared with those that training on other cars of the market gives. */
  readonly guessAndCheck: GuessScore;
}

/** One vehicle at the start of a task. */
interface Victim {
  readonly truth: readonly CarGuess[];
  readonly gradient: Float64Array;
  readonly update: Float32Array;
  readonly shared: SharedUpdate;
}

/** Attacks every vehicle by everything that somebody sees of it. */
export function measureLeaks({ victims: rows, market, records, seed }: LeakOptions): Leaks {
  const base = initialParameters(PRICE_LAYERS, seed);
  const vectors = roundVectors(base.length, seed);
  const victims = batchesOf(rows, records).map((batch, index) =>
    victimOf(base, batch, vectors, deriveSeed(seed, index)),
  );
  const otherwise = marginalGuess(readRecords(encodeCars(market)));
  const score = (guess: (victim: Victim, index: number) => readonly CarGuess[]): GuessScore =>
    scoreGuesses(
      victims.map((victim, index) => ({ truth: victim.truth, guesses: guess(victim, index) })),
      otherwise,
    );
  const invert = (update: ArrayLike<number>, index: number, step: Inversion['step'] = 'adam'): readonly CarGuess[] =>
    invertUpdate({ base, layers: PRICE_LAYERS, update, step, records, seed: deriveSeed(seed, 'sampling', index) });
  const known = guessable(base, market, records, vectors);
  return {
    marginal: score(() => []),
    random: score((_, index) => known[index % known.length]?.guesses ?? []),
    gradient: score(({ gradient }, index) => invert(gradient, index, 'gradient')),
    plain: score(({ update }, index) => invert(update, index)),
    twoAggregators: score(({ shared }, index) => invert(sumHeldBy(shared, [0, 1]), index)),
    oneAggregator: score(({ shared }, index) => invert(sumHeldBy(shared, [index % 3]), index)),
    projections: score(({ shared }, index) => invert(estimateFromProjections(shared.projections, vectors), index)),
    guessAndCheck: score(({ shared }) => nearest(shared.projections, known)),
  };
}

function victimOf(base: Float32Array, data: Dataset, vectors: readonly Int8Array[], seed: number): Victim {
  const update = updateOf(base, data, seed);
  return {
    truth: readRecords(data),
    gradient: lossGradient(base, PRICE_LAYERS, data),
    update,
    shared: shareUpdate(update, vectors, seed),
  };
}

function updateOf(base: Float32Array, data: Dataset, seed: number): Float32Array {
  return trainLocal(base, PRICE_LAYERS, data, { ...PRICE_TRAINING, seed }).map((value, i) => value - (base[i] ?? 0));
}

/** A batch that the attacker trained on itself. */
interface Known {
  readonly guesses: readonly CarGuess[];
  /** Of the update that it gives, in units of 2^−f. */
  readonly projections: readonly number[];
}

function guessable(
  base: Float32Array,
  market: readonly CarRow[],
  records: number,
  vectors: readonly Int8Array[],
): readonly Known[] {
  return batchesOf(market, records).map((data, index) => {
    const update = updateOf(base, data, index);
    const projections = vectors.map((vector) => 2 ** DEFAULT_FORMAT.fractionBits * dot(update, vector));
    return { guesses: readRecords(data), projections };
  });
}

/** The batch whose projections are closest to the opened ones. */
function nearest(opened: Int32Array, known: readonly Known[]): readonly CarGuess[] {
  let least = Infinity;
  let best: readonly CarGuess[] = [];
  for (const { guesses, projections } of known) {
    const distance = projections.reduce((sum, value, k) => sum + (value - (opened[k] ?? 0)) ** 2, 0);
    if (distance < least) {
      least = distance;
      best = guesses;
    }
  }
  return best;
}

function batchesOf(rows: readonly CarRow[], size: number): readonly Dataset[] {
  const count = Math.floor(rows.length / size);
  return Array.from({ length: count }, (_, index) => encodeCars(rows.slice(index * size, (index + 1) * size)));
}
