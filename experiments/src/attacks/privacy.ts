// SPDX-License-Identifier: Apache-2.0
import { decodeTotal, toSigned, type CarTable, type WeightRuleName } from '@sev/fl';
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
}

export function runPrivacyJob(table: CarTable, { split, vehicles, rule, rounds, seed }: PrivacyJob): PrivacyResult {
  const options = optionsOf(
    { split, vehicles, attack: 'none', hostile: 0, rule, seed },
    fleetOf(table, split, vehicles),
  );
  const watched = take(attackedRounds(options), rounds).map(({ encoded, direction }) => ({
    updates: encoded.map((values) => decodeTotal(toSigned(values), 1, options.format)),
    direction,
  }));
  const updates = watched.map((round) => round.updates);
  const directions = watched.map(({ direction }) => direction);
  const common = { projections: options.projections, seed, prior: 'totals' } as const;
  return {
    projections: attackProjections(updates, common),
    withReference: attackProjections(updates, { ...common, directions }),
  };
}
