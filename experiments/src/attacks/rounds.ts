// SPDX-License-Identifier: Apache-2.0
import {
  addSuspicion,
  AGGREGATION_RULES,
  attackNamed,
  componentSum,
  decideWeights,
  decodeTotal,
  directionNorm,
  evenOut,
  hostileVehicles,
  initialParameters,
  initialServerState,
  medianDirection,
  project,
  projectionVectors,
  quarantineMilliOf,
  projectOn,
  serverStep,
  suspicionOf,
  toSigned,
  totalOf,
  vectorNorms,
  WEIGHT_RULES,
  type AggregationRuleName,
  type FixedPoint,
  type RoundProjections,
  type ServerOptimiser,
  type TrainingOptions,
  type Trigger,
  type WeightInput,
  type WeightRuleName,
} from '@sev/fl';
import type { ValidatedFleet } from './fleet.js';
import { hexOf, sendersUpdates, validatorDirections, type Scene, type SelfDealing } from './senders.js';

/** Earlier rounds that rules look back on. */
const PAST_ROUNDS = 10;

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
  /** Of weights in mode `secure`, or of visible updates in mode `plain`. */
  readonly rule: WeightRuleName | AggregationRuleName;
  /** None where not given. */
  readonly attack?: string;
  /** How many vehicles are hostile. */
  readonly hostile: number;
  readonly trigger: Trigger;
  /** Count with weight 0, whatever the rule says. */
  readonly leftOut?: readonly number[];
  readonly selfDealing?: SelfDealing;
}

export interface Standing {
  readonly suspicionMilli: number;
}

/** What a round left behind. */
export interface AttackedRound {
  readonly round: number;
  /** Parameters that the round started from. */
  readonly base: Float32Array;
  readonly input: WeightInput;
  /** Evened out; in mode `plain` those of the classes. */
  readonly weights: readonly number[];
  /** With this round's suspicion. */
  readonly standing: readonly Standing[];
  readonly encoded: readonly Uint32Array[];
  /** Of the validators, and their median. */
  readonly directions: readonly Int32Array[];
  readonly direction: Int32Array;
  /** After the round. */
  readonly model: Float32Array;
}

/**
 * Rounds with hostile vehicles or a hostile validator, without ledger, sealing and shares: training, codec, projections,
 * reference direction, rule, evening out and server step are the product's. Ends when the caller stops taking.
 */
export function* attackedRounds(options: AttackedOptions): Generator<AttackedRound, never> {
  const { fleet, layers, training, server } = options;
  const attack = options.attack === undefined ? undefined : attackNamed(options.attack);
  const hostile = hostileOf(options);
  let base = initialParameters(layers, training.seed);
  let state = initialServerState(server, base.length);
  let standing: readonly Standing[] = fleet.vehicles.map(() => ({ suspicionMilli: 0 }));
  let lastDirection: Int32Array | undefined;
  const bases: Float32Array[] = [];
  const past: RoundProjections[] = [];
  for (let round = 1; ; round++) {
    const scene: Scene = { options, attack, hostile, round, base, bases, lastDirection };
    const directions = validatorDirections(scene);
    const direction = medianDirection(directions);
    const encoded = sendersUpdates(scene, directions);
    const input: WeightInput = { ...evidenceOf(encoded, direction, round, options), past: [...past], standing };
    const suspicion = suspicionOf(input);
    const { weights, average } = averageOf(base, encoded, input, options);
    const next = average === undefined ? { parameters: base, state } : serverStep(server, base, average, state);
    standing = standing.map(({ suspicionMilli }, i) => ({
      suspicionMilli: addSuspicion(suspicionMilli, suspicion[i] ?? 0),
    }));
    const model = next.parameters;
    yield { round, base, input, weights, standing, encoded, directions, direction, model };
    past.push(input.projections);
    past.splice(0, past.length - PAST_ROUNDS);
    bases.push(base);
    lastDirection = direction;
    ({ parameters: base, state } = next);
  }
}

/** The vehicles that attack; none where a validator does. */
export function hostileOf({ attack, hostile, fleet, training }: AttackedOptions): readonly number[] {
  const isByVehicles = attack !== undefined && attackNamed(attack).role === 'vehicle';
  return isByVehicles ? hostileVehicles(training.seed, hostile, fleet.vehicles.length) : [];
}

/** What the aggregators open of a round. */
function evidenceOf(
  encoded: readonly Uint32Array[],
  direction: Int32Array,
  round: number,
  { training, projections, classWeights, format }: AttackedOptions,
): WeightInput {
  const vectors = projectionVectors(hexOf(training.seed, round, 'vectors'), projections, direction.length);
  return {
    classWeights,
    projections: encoded.map((values) => toSigned(project(values, vectors))),
    format,
    vectorNorms: vectorNorms(vectors),
    quarantineMilli: quarantineMilliOf(encoded.length),
    reference: {
      products: Int32Array.from(encoded, (values) => projectOn(values, direction)),
      norm: directionNorm(direction),
    },
  };
}

interface Averaged {
  readonly weights: readonly number[];
  /** Parameters; undefined where fewer than the minimum count, and the round is aborted. */
  readonly average: Float32Array | undefined;
}

function averageOf(
  base: Float32Array,
  encoded: readonly Uint32Array[],
  input: WeightInput,
  { rule, format, minimum, leftOut = [] }: AttackedOptions,
): Averaged {
  if (!isWeightRule(rule)) {
    return { weights: input.classWeights, average: plainAverage(base, encoded, input, rule) };
  }
  const even = (ruled: readonly number[]): number[] =>
    evenOut(
      ruled.map((weight, i) => ({ classWeight: input.classWeights[i] ?? 0, weight: leftOut.includes(i) ? 0 : weight })),
      minimum,
    );
  const shards = [encoded.map((_, i) => i)];
  const { weights } = decideWeights(WEIGHT_RULES[rule], input, { shards, minimum, even });
  if (weights.filter((weight) => weight > 0).length < minimum) {
    return { weights: weights.map(() => 0), average: undefined };
  }
  const count = weights.reduce((a, b) => a + b, 0);
  const sum = componentSum(
    encoded.map((values, i) => ({ values, weight: weights[i] ?? 0 })),
    base.length,
  );
  const mean = decodeTotal(totalOf([sum]), count, format);
  return { weights, average: base.map((value, i) => value + (mean[i] ?? 0)) };
}

/** What is shared in mode `plain`: the parameters themselves, here of the same encoded updates. */
function plainAverage(
  base: Float32Array,
  encoded: readonly Uint32Array[],
  { classWeights, format }: WeightInput,
  rule: AggregationRuleName,
): Float32Array {
  const updates = encoded.map((values, i) => {
    const update = decodeTotal(toSigned(values), 1, format);
    return { parameters: base.map((value, at) => value + (update[at] ?? 0)), weight: classWeights[i] ?? 0 };
  });
  return AGGREGATION_RULES[rule].aggregate(base, updates);
}

function isWeightRule(rule: WeightRuleName | AggregationRuleName): rule is WeightRuleName {
  return rule in WEIGHT_RULES;
}

/** The first so many rounds of a federation. */
export function take(rounds: Generator<AttackedRound>, count: number): readonly AttackedRound[] {
  return Array.from({ length: count }, () => rounds.next().value as AttackedRound);
}
