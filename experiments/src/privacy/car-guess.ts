// SPDX-License-Identifier: Apache-2.0
import { FUELS, OWNERS, SELLERS, TRANSMISSIONS, type Dataset } from '@sev/fl';

/** Where feature set `price/cardekho-v1` has what; see `encodeCars`. */
export const PLACES = {
  age: 0,
  use: 1,
  fuel: 2,
  seller: 2 + FUELS.length,
  automatic: 2 + FUELS.length + SELLERS.length,
  owner: 3 + FUELS.length + SELLERS.length,
  name: 4 + FUELS.length + SELLERS.length,
} as const;

/** What an attacker says of one record. The categories are indices into FUELS, SELLERS, TRANSMISSIONS and OWNERS. */
export interface CarGuess {
  readonly year: number;
  readonly logKilometres: number;
  readonly fuel: number;
  readonly seller: number;
  readonly transmission: number;
  readonly owner: number;
  /** Buckets of the name's words, ascending, joined by commas. */
  readonly name: string;
}

/** The features of one row read backwards; where a one-hot group is not exact, its largest entry counts. */
export function readFeatures(x: ArrayLike<number>): CarGuess {
  const at = (place: number): number => x[place] ?? 0;
  const largest = (from: number, count: number): number =>
    Array.from({ length: count }, (_, i) => i).reduce((best, i) => (at(from + i) > at(from + best) ? i : best), 0);
  const buckets = Array.from({ length: x.length - PLACES.name }, (_, i) => i);
  return {
    year: 2020 - 10 * at(PLACES.age),
    logKilometres: at(PLACES.use) + 11,
    fuel: largest(PLACES.fuel, FUELS.length),
    seller: largest(PLACES.seller, SELLERS.length),
    transmission: at(PLACES.automatic) > 0.5 ? TRANSMISSIONS.indexOf('Automatic') : TRANSMISSIONS.indexOf('Manual'),
    owner: Math.min(OWNERS.length - 1, Math.max(0, Math.round(2 * at(PLACES.owner)))),
    name: buckets.filter((bucket) => at(PLACES.name + bucket) > 0.5).join(),
  };
}

/** Each row of an encoded data set. */
export function readRecords({ rows, features, x }: Dataset): readonly CarGuess[] {
  return Array.from({ length: rows }, (_, row) => readFeatures(x.subarray(row * features, (row + 1) * features)));
}

/**
 * What whoever sees nothing of a vehicle says best: the most frequent category and the median of each number. Knows the
 * market, which is public.
 */
export function marginalGuess(market: readonly CarGuess[]): CarGuess {
  return {
    year: medianOf(market.map(({ year }) => year)),
    logKilometres: medianOf(market.map(({ logKilometres }) => logKilometres)),
    fuel: mostFrequent(market.map(({ fuel }) => fuel)),
    seller: mostFrequent(market.map(({ seller }) => seller)),
    transmission: mostFrequent(market.map(({ transmission }) => transmission)),
    owner: mostFrequent(market.map(({ owner }) => owner)),
    name: mostFrequent(market.map(({ name }) => name)),
  };
}

/** How near guesses come to the truth; the shares of records are from 0 to 1. */
export interface GuessScore {
  readonly records: number;
  /** Share of records whose fuel is named; likewise the other categories, and all buckets of the name together. */
  readonly fuel: number;
  readonly seller: number;
  readonly transmission: number;
  readonly owner: number;
  readonly name: number;
  /** Mean absolute error of the year. */
  readonly yearError: number;
  /** Mean absolute error of ln(kilometres). */
  readonly kilometresError: number;
}

/** One vehicle's true records, and what the attacker says of them in any order. */
export interface ScoredGuesses {
  readonly truth: readonly CarGuess[];
  readonly guesses: readonly CarGuess[];
}

/**
 * Scores guesses over many vehicles. Which guess is which record does not count: they are matched one to one, the pair that
 * agrees best first, in favour of the attacker. A record without a guess is given `otherwise`.
 */
export function scoreGuesses(vehicles: readonly ScoredGuesses[], otherwise: CarGuess): GuessScore {
  const pairs = vehicles.flatMap((one) => matched(one, otherwise));
  const mean = (of: (truth: CarGuess, guess: CarGuess) => number): number =>
    pairs.reduce((sum, [truth, guess]) => sum + of(truth, guess), 0) / pairs.length;
  const share = (key: keyof CarGuess): number => mean((truth, guess) => (truth[key] === guess[key] ? 1 : 0));
  return {
    records: pairs.length,
    fuel: share('fuel'),
    seller: share('seller'),
    transmission: share('transmission'),
    owner: share('owner'),
    name: share('name'),
    yearError: mean((truth, guess) => Math.abs(truth.year - guess.year)),
    kilometresError: mean((truth, guess) => Math.abs(truth.logKilometres - guess.logKilometres)),
  };
}

function matched({ truth, guesses }: ScoredGuesses, otherwise: CarGuess): (readonly [CarGuess, CarGuess])[] {
  const open = new Set(truth);
  const left = new Set(guesses);
  const pairs: [CarGuess, CarGuess][] = [];
  const candidates = truth
    .flatMap((record) => guesses.map((guess) => ({ record, guess, agreement: agreementOf(record, guess) })))
    .sort((a, b) => b.agreement - a.agreement);
  for (const { record, guess } of candidates) {
    if (open.has(record) && left.has(guess)) {
      pairs.push([record, guess]);
      open.delete(record);
      left.delete(guess);
    }
  }
  return [...pairs, ...[...open].map((record): [CarGuess, CarGuess] => [record, otherwise])];
}

function agreementOf(a: CarGuess, b: CarGuess): number {
  const categories = (['fuel', 'seller', 'transmission', 'owner', 'name'] as const).filter((key) => a[key] === b[key]);
  return categories.length - Math.abs(a.year - b.year) / 10 - Math.abs(a.logKilometres - b.logKilometres);
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function mostFrequent<T>(values: readonly T[]): T {
  const counts = new Map<T, number>();
  values.forEach((value) => counts.set(value, (counts.get(value) ?? 0) + 1));
  const [first] = [...counts].sort(([, a], [, b]) => b - a);
  if (first === undefined) {
    throw new RangeError('The most frequent of nothing');
  }
  return first[0];
}
