// SPDX-License-Identifier: Apache-2.0
import {
  componentSum,
  correctedModel,
  evaluatePrice,
  PRICE_LAYERS,
  toSigned,
  totalOf,
  type CarTable,
  type WeightRuleName,
} from '@sev/fl';
import { attackedRounds, take, type AttackedRound } from './rounds.js';
import { hostileVehicles } from './senders.js';
import { fleetOf, optionsOf, type AttackSplit } from './setting.js';

/** One culprit, found after all rounds. Plain data. */
export interface CorrectionJob {
  readonly kind: 'correction';
  readonly split: AttackSplit;
  readonly vehicles: number;
  readonly attack: string;
  readonly rule: WeightRuleName;
  readonly rounds: number;
  readonly seed: number;
}

/** R² on fold 0. */
export interface CorrectionResult {
  readonly attacked: number;
  readonly corrected: number;
  /** Of the same rounds in which the culprit counts nothing. */
  readonly without: number;
  /** Milliseconds that taking it out took. */
  readonly correctionMs: number;
}

export function runCorrectionJob(table: CarTable, job: CorrectionJob): CorrectionResult {
  const { split, vehicles, attack, rule, rounds, seed } = job;
  const fleet = fleetOf(table, split, vehicles);
  const options = optionsOf({ split, vehicles, attack, hostile: 1 / vehicles, rule, seed }, fleet);
  const [culprit = 0] = hostileVehicles(seed, 1, vehicles);
  const attacked = take(attackedRounds(options), rounds);
  const clean = take(attackedRounds({ ...options, leftOut: [culprit] }), rounds);
  const base = attacked[0]?.base ?? new Float32Array();
  const stored = attacked.flatMap((round) => storedRound(round, culprit));
  const started = performance.now();
  const corrected = correctedModel(base, stored, options.format, options.server).parameters;
  const correctionMs = performance.now() - started;
  const r2 = (model: Float32Array | undefined): number => evaluatePrice(model ?? base, PRICE_LAYERS, fleet.test).r2;
  return {
    attacked: r2(attacked.at(-1)?.model),
    corrected: r2(corrected),
    without: r2(clean.at(-1)?.model),
    correctionMs,
  };
}

/** The opened total, and the culprit's opened contribution to it; none of a round that was aborted. */
function storedRound(
  { encoded, weights, base }: AttackedRound,
  culprit: number,
): Parameters<typeof correctedModel>[1][number][] {
  const weight = weights.reduce((a, b) => a + b, 0);
  if (weight === 0) {
    return [];
  }
  const sum = componentSum(
    encoded.map((values, i) => ({ values, weight: weights[i] ?? 0 })),
    base.length,
  );
  const counted = weights[culprit] ?? 0;
  const update = encoded[culprit];
  const removed = counted === 0 || update === undefined ? [] : [{ update: toSigned(update), weight: counted }];
  return [{ total: totalOf([sum]), weight, removed }];
}
