// SPDX-License-Identifier: Apache-2.0
import {
  decodeTotal,
  deriveSeed,
  medianDirection,
  newRandom,
  toSigned,
  type CarTable,
  type WeightRuleName,
} from '@sev/fl';
import { attackProjections } from '../linear-attack.js';
import { attackedRounds, take } from './rounds.js';
import { fleetOf, optionsOf, type AttackSplit } from './setting.js';

/** What is learnt across rounds of all that is opened. Plain data. */
export interface PrivacyJob {
  readonly kind: 'privacy';
  readonly split: AttackSplit;
  readonly vehicles: number;
  readonly rule: WeightRuleName;
  readonly rounds: number;
  readonly seed: number;
}

/** Mean cosine of each vehicle's typical deviation and the best linear estimate of it; the attacker knows the best prior. */
export interface PrivacyResult {
  readonly projections: number;
  /** With the product with the reference direction opened too. */
  readonly withReference: number;
  /** The same where one of the validators aims its direction; see {@link aimed}. */
  readonly withAimed: number;
  /** With one more random projection in its place: what a direction would tell that one validator chose alone, anew each round. */
  readonly withFurther: number;
}

export function runPrivacyJob(table: CarTable, { split, vehicles, rule, rounds, seed }: PrivacyJob): PrivacyResult {
  const options = optionsOf(
    { split, vehicles, attack: 'none', hostile: 0, rule, seed },
    fleetOf(table, split, vehicles),
  );
  const watched = take(attackedRounds(options), rounds).map(({ round, encoded, directions, direction }) => ({
    updates: encoded.map((values) => decodeTotal(toSigned(values), 1, options.format)),
    direction,
    aimed: aimed(directions, deriveSeed(seed, round, 'aim')),
  }));
  const updates = watched.map((round) => round.updates);
  const directions = watched.map(({ direction }) => direction);
  const common = { projections: options.projections, seed, prior: 'totals' } as const;
  return {
    projections: attackProjections(updates, common),
    withReference: attackProjections(updates, { ...common, directions }),
    withAimed: attackProjections(updates, { ...common, directions: watched.map((round) => round.aimed) }),
    withFurther: attackProjections(updates, { ...common, projections: options.projections + 1 }),
  };
}

/**
 * The reference direction where the first validator turns the signs of its own at random, anew in every round: so the equations
 * differ from round to round, are as large as its norm allows where updates are large, and the median lets through as much as
 * lies between the others. An attacker who is after one vehicle, and knows what to look for, may aim better.
 */
function aimed([own = new Int32Array(), ...others]: readonly Int32Array[], seed: number): Int32Array {
  const random = newRandom(seed);
  return medianDirection([own.map((value) => (random.below(2) === 0 ? value : -value)), ...others]);
}
