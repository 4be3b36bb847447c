// SPDX-License-Identifier: Apache-2.0
import { rewardsOf } from '@sev/chaincode/api';
import { contributionOf, hostileVehicles, type CarTable, type WeightInput } from '@sev/fl';
import { attackedRounds, take } from './rounds.js';
import { fleetOf, optionsOf, type AttackSplit } from './setting.js';

const VALIDATOR = 0;
/** Times an honest update's: contributions are capped, so that of 1, 1.5 and 2 this pays best. */
const LENGTH = 1;
/** Two that send the same count nothing by that rule: several hide how alike they are; see `root-aligned-noisy`. */
const HIDING_NOISE = 0.7;
const POOL_MICRO = 1_000_000_000;

/** A validator has vehicles send the direction that it has committed to, so as to be paid for it. Plain data. */
export interface SelfDealingJob {
  readonly kind: 'self-dealing';
  readonly split: AttackSplit;
  readonly vehicles: number;
  /** Vehicles that are the validator's. */
  readonly own: number;
  readonly rounds: number;
  readonly seed: number;
}

/** Shares of what all rounds pay together. */
export interface SelfDealingResult {
  /** Its vehicles' share. */
  readonly share: number;
  /** The same were contributions not capped. */
  readonly uncapped: number;
  /** The same vehicles' share where they train as others do. */
  readonly honest: number;
}

export function runSelfDealingJob(table: CarTable, job: SelfDealingJob): SelfDealingResult {
  const { split, vehicles, own, rounds, seed } = job;
  const cell = { split, vehicles, attack: 'none', hostile: 0, rule: 'capped-trust', seed } as const;
  const options = optionsOf(cell, fleetOf(table, split, vehicles));
  const owned = hostileVehicles(seed, own, vehicles);
  const selfDealing = { validator: VALIDATOR, vehicles: owned, length: LENGTH, noise: own > 1 ? HIDING_NOISE : 0 };
  const attacked = take(attackedRounds({ ...options, selfDealing }), rounds);
  const honest = take(attackedRounds(options), rounds);
  return {
    share: shareOf(
      owned,
      attacked.map(({ input, weights }) => [...contributionOf(input, weights)]),
    ),
    uncapped: shareOf(
      owned,
      attacked.map(({ input, weights }) => uncappedOf(input, weights)),
    ),
    honest: shareOf(
      owned,
      honest.map(({ input, weights }) => [...contributionOf(input, weights)]),
    ),
  };
}

/** In proportion to what `contributionOf` caps: rewards ask for no more. */
function uncappedOf({ reference }: WeightInput, weights: readonly number[]): number[] {
  return weights.map((weight, i) => weight * (reference?.products[i] ?? 0));
}

function shareOf(owned: readonly number[], contributions: readonly (readonly number[])[]): number {
  const paid = contributions.map((ofRound) => rewardsOf(POOL_MICRO, ofRound));
  const all = paid.flat().reduce((sum, amount) => sum + amount, 0);
  const own = paid.flatMap((amounts) => owned.map((vehicle) => amounts[vehicle] ?? 0));
  return all === 0 ? 0 : own.reduce((sum, amount) => sum + amount, 0) / all;
}
