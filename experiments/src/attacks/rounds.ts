// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import {
  addSuspicion,
  attackNamed,
  componentSum,
  decodeTotal,
  deriveSeed,
  directionNorm,
  encodeUnclipped,
  encodeUpdate,
  evenOut,
  initialParameters,
  initialServerState,
  medianDirection,
  newRandom,
  project,
  projectionVectors,
  projectOn,
  quantiseDirection,
  seededRandom,
  suspicionOf,
  serverStep,
  toSigned,
  totalOf,
  trainLocal,
  vectorNorms,
  WEIGHT_RULES,
  type Attack,
  type AttackContext,
  type Dataset,
  type FixedPoint,
  type RoundProjections,
  type ServerOptimiser,
  type TrainingOptions,
  type Trigger,
  type WeightInput,
  type WeightReason,
  type WeightRuleName,
} from '@sev/fl';
import type { ValidatedFleet } from './fleet.js';

/** Earlier rounds that rules look back on. */
export const PAST_ROUNDS = 10;

export interface AttackedOptions {
  readonly fleet: ValidatedFleet;
  readonly layers: readonly number[];
  /** `seed` also makes the initial parameters, draws the hostile vehicles and all else. */
  readonly training: TrainingOptions;
  readonly server: ServerOptimiser;
  readonly format: FixedPoint;
  /** K. */
  readonly projections: number;
  readonly classWeights: readonly number[];
  /** Least cohort: so many share each weight. */
  readonly minimum: number;
  readonly rule: WeightRuleName;
  /** None where not given. */
  readonly attack?: string;
  /** How many vehicles are hostile. */
  readonly hostile: number;
  readonly trigger: Trigger;
  /** Takes part in no round. */
  readonly leftOut?: readonly number[];
}

/** What a round left behind. */
export interface AttackedRound {
  readonly round: number;
  /** Of the round's start. */
  readonly base: Float32Array;
  readonly input: WeightInput;
  readonly weights: readonly number[];
  readonly reasons: readonly (WeightReason | undefined)[];
  /** Of this round, and accumulated with it. */
  readonly suspicion: Int32Array;
  readonly standing: readonly { readonly suspicionMilli: number }[];
  readonly encoded: readonly Uint32Array[];
  readonly direction: Int32Array;
  /** Σ weight · update, units of 2^−f. */
  readonly total: Int32Array;
  /** After the round. */
  readonly model: Float32Array;
}

/** The hostile vehicles of a seed. */
export function hostileVehicles(seed: number, count: number, vehicles: number): readonly number[] {
  const random = newRandom(deriveSeed(seed, 'hostile'));
  const order = Array.from({ length: vehicles }, (_, index) => index);
  for (let i = vehicles - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order.slice(0, count).sort((a, b) => a - b);
}

/**
 * Rounds in mode `secure` with hostile vehicles or a hostile validator, without ledger, sealing and shares: training, codec,
 * projections, reference direction, rule, evening out and server step are the product's. Ends when the caller stops taking.
 */
export function* attackedRounds(options: AttackedOptions): Generator<AttackedRound, never> {
  const { fleet, layers, training, server, classWeights } = options;
  const { seed } = training;
  const attack = options.attack === undefined ? undefined : attackNamed(options.attack);
  const hostile = attack?.role === 'vehicle' ? hostileVehicles(seed, options.hostile, fleet.vehicles.length) : [];
  const sent = new Map<number, Float32Array[]>(hostile.map((vehicle) => [vehicle, []]));
  let base = initialParameters(layers, seed);
  let state = initialServerState(server, base.length);
  const bases: Float32Array[] = [];
  const past: RoundProjections[] = [];
  let standing = fleet.vehicles.flatMap((_, vehicle) =>
    options.leftOut?.includes(vehicle) === true ? [] : [{ suspicionMilli: 0 }],
  );
  let lastDirection: Int32Array | undefined;
  for (let round = 1; ; round++) {
    const scene: Scene = { ...{ round, base, bases, lastDirection, hostile, sent }, options };
    const direction = directionOf(scene, attack);
    const encoded = fleet.vehicles.map((data, vehicle) => updateOf(scene, attack, vehicle, data));
    const vectors = projectionVectors(hexOf(seed, round, 'vectors'), options.projections, base.length);
    const isIn = fleet.vehicles.map((_, vehicle) => !(options.leftOut?.includes(vehicle) ?? false));
    const only = <T>(values: readonly T[]): T[] => values.filter((_, vehicle) => isIn[vehicle]);
    const input: WeightInput = {
      classWeights: only(classWeights),
      projections: only(encoded).map((values) => toSigned(project(values, vectors))),
      format: options.format,
      vectorNorms: vectorNorms(vectors),
      reference: {
        products: Int32Array.from(only(encoded), (values) => projectOn(values, direction)),
        norm: directionNorm(direction),
      },
      past: past.slice(-PAST_ROUNDS),
      standing,
    };
    const suspicion = suspicionOf(input);
    const ruled = WEIGHT_RULES[options.rule].weigh(input);
    const weights = evenOut(
      ruled.weights.map((weight, i) => ({ classWeight: input.classWeights[i] ?? 0, weight })),
      options.minimum,
    );
    const total = totalOf([
      componentSum(
        only(encoded).map((values, i) => ({ values, weight: weights[i] ?? 0 })),
        base.length,
      ),
    ]);
    const before = base;
    const count = weights.reduce((a, b) => a + b, 0);
    // Nobody counts: the round is aborted and the model stays.
    if (count > 0) {
      const mean = decodeTotal(total, count, options.format);
      const average = base.map((value, i) => value + (mean[i] ?? 0));
      ({ parameters: base, state } = serverStep(server, base, average, state));
    }
    past.push(input.projections);
    standing = standing.map(({ suspicionMilli }, i) => ({
      suspicionMilli: addSuspicion(suspicionMilli, suspicion[i] ?? 0),
    }));
    bases.push(before);
    lastDirection = direction;
    yield {
      suspicion,
      standing,
      ...{ round, base: before, input, weights, reasons: ruled.reasons, encoded, direction, total, model: base },
    };
  }
}

interface Scene {
  readonly options: AttackedOptions;
  readonly round: number;
  readonly base: Float32Array;
  /** Of earlier rounds. */
  readonly bases: readonly Float32Array[];
  readonly lastDirection: Int32Array | undefined;
  readonly hostile: readonly number[];
  readonly sent: Map<number, Float32Array[]>;
  colluders?: readonly Float32Array[];
}

/** The validators' median direction, each trained from the base like a vehicle. */
function directionOf(scene: Scene, attack: Attack | undefined): Int32Array {
  const { options, base, round } = scene;
  return medianDirection(
    options.fleet.roots.map((data, validator) => {
      const train = trainerOf(options, round, `validator ${validator}`);
      const isHostile = attack?.role === 'validator' && validator === 0;
      return quantiseDirection(isHostile ? attack.update(contextOf(scene, 0, data, train)) : train(base, data));
    }),
  );
}

function updateOf(scene: Scene, attack: Attack | undefined, vehicle: number, data: Dataset): Uint32Array {
  const { options, round, base, hostile, sent } = scene;
  const train = trainerOf(options, round, vehicle);
  const place = hostile.indexOf(vehicle);
  if (attack === undefined || place < 0) {
    const rounding = seededRandom(Buffer.from(hexOf(options.training.seed, round, vehicle, 'rounding'), 'hex'));
    return encodeUpdate(train(base, data), options.format, rounding);
  }
  const update = attack.update(contextOf(scene, place, data, train));
  sent.get(vehicle)?.push(update);
  return encodeUnclipped(update, options.format);
}

function contextOf(scene: Scene, place: number, data: Dataset, train: AttackContext['train']): AttackContext {
  const { options, round, base, bases, hostile } = scene;
  const { seed } = options.training;
  return {
    ...{ round, base, earlierBases: bases, data, train, place, lastDirection: scene.lastDirection },
    colluders: () =>
      (scene.colluders ??= hostile.map((vehicle) => {
        const own = options.fleet.vehicles[vehicle];
        return own === undefined ? base : trainerOf(options, round, vehicle)(base, own);
      })),
    sent: scene.sent.get(hostile[place] ?? -1) ?? [],
    random: newRandom(deriveSeed(seed, round, place, 'attack')),
    sharedRandom: () => newRandom(deriveSeed(seed, round, 'colluders')),
    ...{ rule: options.rule, clip: options.format.clip, trigger: options.trigger },
  };
}

function trainerOf({ layers, training }: AttackedOptions, round: number, who: number | string): AttackContext['train'] {
  return (base, data) => {
    const options = { ...training, seed: deriveSeed(training.seed, round, who) };
    return trainLocal(base, layers, data, options).map((value, i) => value - (base[i] ?? 0));
  };
}

function hexOf(...labels: readonly (string | number)[]): string {
  return createHash('sha256')
    .update(JSON.stringify(['attacks', ...labels]))
    .digest('hex');
}
