// SPDX-License-Identifier: Apache-2.0
import { contributionOf, decodeTotal, lossMicro, PRICE_LAYERS, toSigned, concatDatasets, type CarTable } from '@sev/fl';
import { newRandom, withNoise, deriveSeed } from '@sev/fl';
import { attackedRounds, type AttackedRound } from './rounds.js';
import { fleetOf, optionsOf, type AttackSplit } from './setting.js';
import type { ValidatedFleet } from './fleet.js';

/** The worst vehicle's label noise on the target's scale; the others' falls to 0 in equal steps. */
const WORST_NOISE = 1.5;

/** Contributions of vehicles of known data quality. Plain data. */
export interface ContributionJob {
  readonly kind: 'contribution';
  readonly split: AttackSplit;
  readonly vehicles: number;
  readonly rounds: number;
  readonly seed: number;
  /** Also 2^n models a round; for few vehicles. */
  readonly exact: boolean;
}

export interface ContributionResult {
  /** Spearman's rank correlation of the first-order score with the quality of the labels. */
  readonly withQuality: number;
  /** The same with exact Shapley values, and theirs with the quality; null where not asked for. */
  readonly withShapley: number | null;
  readonly shapleyWithQuality: number | null;
}

export function runContributionJob(table: CarTable, job: ContributionJob): ContributionResult {
  const { split, vehicles, rounds, seed, exact } = job;
  const fleet = noisyFleet(fleetOf(table, split, vehicles), seed);
  const cell = { split, vehicles, attack: 'none', hostile: 0, rule: 'norm-scaling', seed } as const;
  const federation = attackedRounds(optionsOf(cell, fleet));
  const scores = new Float64Array(vehicles);
  const shapley = new Float64Array(vehicles);
  for (let count = 0; count < rounds; count++) {
    const round = federation.next().value;
    contributionOf(round.input, round.weights).forEach((score, i) => {
      scores[i] = (scores[i] ?? 0) + score;
    });
    if (exact) {
      shapleyOf(round, fleet).forEach((value, i) => {
        shapley[i] = (shapley[i] ?? 0) + value;
      });
    }
  }
  const quality = Float64Array.from({ length: vehicles }, (_, i) => -noiseOf(i, vehicles));
  return {
    withQuality: rankCorrelation(scores, quality),
    withShapley: exact ? rankCorrelation(scores, shapley) : null,
    shapleyWithQuality: exact ? rankCorrelation(shapley, quality) : null,
  };
}

function noiseOf(vehicle: number, vehicles: number): number {
  return (WORST_NOISE * vehicle) / (vehicles - 1);
}

function noisyFleet(fleet: ValidatedFleet, seed: number): ValidatedFleet {
  const { vehicles } = fleet;
  const noisy = vehicles.map((data, i) =>
    withNoise(data, noiseOf(i, vehicles.length), newRandom(deriveSeed(seed, 'label noise', i))),
  );
  return { ...fleet, vehicles: noisy };
}

/**
 * Exact Shapley values of a round: how much the loss on the validators' data falls, for every coalition's weighted mean; an
 * empty one leaves the model as it is.
 */
function shapleyOf(round: AttackedRound, fleet: ValidatedFleet): Float64Array {
  const players = fleet.vehicles.length;
  const data = concatDatasets(fleet.roots);
  const before = lossMicro(round.base, PRICE_LAYERS, data);
  const updates = round.encoded.map((values) => decodeTotal(toSigned(values), 1, round.input.format));
  const values = Float64Array.from({ length: 2 ** players }, (_, coalition) => {
    const sum = new Float64Array(round.base.length);
    let weights = 0;
    for (let i = 0; i < players; i++) {
      const weight = (coalition >> i) & 1 ? (round.weights[i] ?? 0) : 0;
      weights += weight;
      for (let at = 0; weight > 0 && at < sum.length; at++) {
        sum[at] = (sum[at] ?? 0) + weight * (updates[i]?.[at] ?? 0);
      }
    }
    const model = round.base.map((value, at) => value + (weights === 0 ? 0 : (sum[at] ?? 0) / weights));
    return before - lossMicro(model, PRICE_LAYERS, data);
  });
  return Float64Array.from({ length: players }, (_, i) => {
    let value = 0;
    for (let coalition = 0; coalition < values.length; coalition++) {
      if (((coalition >> i) & 1) === 0) {
        const gain = (values[coalition | (1 << i)] ?? 0) - (values[coalition] ?? 0);
        value += gain / (players * binomial(players - 1, bitsOf(coalition)));
      }
    }
    return value;
  });
}

function bitsOf(coalition: number): number {
  return coalition === 0 ? 0 : (coalition & 1) + bitsOf(coalition >> 1);
}

function binomial(n: number, k: number): number {
  return k === 0 ? 1 : (binomial(n, k - 1) * (n - k + 1)) / k;
}

/** Spearman's: Pearson's correlation of ranks, ties at their mean rank. */
export function rankCorrelation(a: Float64Array, b: Float64Array): number {
  return correlation(ranksOf(a), ranksOf(b));
}

function ranksOf(values: Float64Array): Float64Array {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    return below + (values.filter((other) => other === value).length - 1) / 2;
  });
}

function correlation(a: Float64Array, b: Float64Array): number {
  const centred = [a, b].map((values) => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map((value) => value - mean);
  });
  const [x = a, y = b] = centred;
  const product = (one: Float64Array, other: Float64Array): number =>
    one.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0);
  const lengths = Math.sqrt(product(x, x) * product(y, y));
  return lengths === 0 ? 0 : product(x, y) / lengths;
}
