// SPDX-License-Identifier: Apache-2.0
import {
  Candidate,
  chosenDepth,
  componentSum,
  depthsOf,
  evaluatePrice,
  hostileVehicles,
  initialServerState,
  lossMicro,
  median,
  PRICE_LAYERS,
  toSigned,
  totalOf,
  type CarTable,
  type RoundStep,
  type WeightRuleName,
} from '@sev/fl';
import type { ValidatedFleet } from './fleet.js';
import { attackedRounds, take, type AttackedOptions, type AttackedRound } from './rounds.js';
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
  /**
   * Of the rounds that the culprit counted in, so many of the last it was taken out of; 0 where it counted in
   * none, or the model went back to the first.
   */
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
  const present = attacked.at(-1)?.model ?? base;
  const hasCounted = stored.some(({ culprit: part }) => part !== undefined);
  const corrected = hasCounted ? correctedFrom(base, stored, fleet, options) : { model: present, takenOut: 0 };
  const correctionMs = performance.now() - started;
  const r2 = (model: Float32Array = base): number => evaluatePrice(model, PRICE_LAYERS, fleet.test).r2;
  return {
    attacked: r2(present),
    corrected: r2(corrected.model),
    without: r2(clean.at(-1)?.model),
    takenOut: corrected.takenOut,
    correctionMs,
  };
}

interface Kept {
  readonly model: Float32Array;
  readonly takenOut: number;
}

/**
 * As the product corrects a model whose every round is disputed: candidates without the culprit in so many of the last rounds, of
 * which the validators' median loss chooses one; that is kept where it is better than the rollback.
 */
function correctedFrom(
  base: Float32Array,
  steps: readonly RoundStep[],
  { roots }: ValidatedFleet,
  { format, server }: AttackedOptions,
): Kept {
  const lossOf = (model: Float32Array): number => median(roots.map((data) => lossMicro(model, PRICE_LAYERS, data)));
  const start = { parameters: base, state: initialServerState(server, base.length) };
  const counted = steps.filter(({ culprit }) => culprit !== undefined).map(({ round }) => round);
  const candidates = depthsOf(counted.length).map((takenOut) => {
    const fromRound = counted[counted.length - takenOut] ?? 1;
    const made = new Candidate(start, { optimiser: server, fractionBits: format.fractionBits, fromRound });
    steps.forEach((step) => {
      made.take(step);
    });
    return { takenOut, model: made.model, lossMicro: lossOf(made.model) };
  });
  const depth = chosenDepth(candidates);
  const best = candidates.find(({ takenOut }) => takenOut === depth);
  return best !== undefined && best.lossMicro < lossOf(base) ? best : { model: base, takenOut: 0 };
}

/** The opened total, and the culprit's opened contribution to it; none of a round that was aborted. */
function storedRound({ round, encoded, weights, base }: AttackedRound, culprit: number): RoundStep[] {
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
  const part = counted === 0 || update === undefined ? undefined : { update: toSigned(update), weight: counted };
  return [{ kind: 'round', round, total: Float64Array.from(totalOf([sum])), weight, culprit: part }];
}
