// SPDX-License-Identifier: Apache-2.0
import {
  componentSum,
  correctedModel,
  evaluatePrice,
  lossMicro,
  median,
  PRICE_LAYERS,
  toSigned,
  totalOf,
  type CarTable,
  type CorrectedRound,
  type WeightRuleName,
} from '@sev/fl';
import type { ValidatedFleet } from './fleet.js';
import { attackedRounds, take, type AttackedOptions, type AttackedRound } from './rounds.js';
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
  /** Rounds, the last ones, that the culprit was taken out of: as the validators' losses decide. */
  readonly takenOut: number;
  /** Milliseconds that taking it out took, all candidates and their validation. */
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
  const corrected = bestCandidate(base, stored, fleet, options);
  const correctionMs = performance.now() - started;
  const r2 = (model: Float32Array | undefined): number => evaluatePrice(model ?? base, PRICE_LAYERS, fleet.test).r2;
  return {
    attacked: r2(attacked.at(-1)?.model),
    corrected: r2(corrected.model),
    without: r2(clean.at(-1)?.model),
    takenOut: corrected.takenOut,
    correctionMs,
  };
}

interface Candidate {
  readonly model: Float32Array;
  readonly takenOut: number;
}

/**
 * Takes the culprit out of the last round, the last two, … all: what it did long ago others have made up for since, and
 * taking that out too would overshoot. The validators' median loss decides.
 */
function bestCandidate(
  base: Float32Array,
  stored: readonly CorrectedRound[],
  { roots }: ValidatedFleet,
  { format, server }: AttackedOptions,
): Candidate {
  const candidates = stored.map((_, index): Candidate => {
    const takenOut = index + 1;
    const rounds = stored.map((round, at) => (at < stored.length - takenOut ? { ...round, removed: [] } : round));
    return { model: correctedModel(base, rounds, format, server).parameters, takenOut };
  });
  const losses = candidates.map(({ model }) => median(roots.map((data) => lossMicro(model, PRICE_LAYERS, data))));
  return candidates[losses.indexOf(Math.min(...losses))] ?? { model: base, takenOut: 0 };
}

/** The opened total, and the culprit's opened contribution to it; none of a round that was aborted. */
function storedRound({ encoded, weights, base }: AttackedRound, culprit: number): CorrectedRound[] {
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
