// SPDX-License-Identifier: Apache-2.0
import type { Random } from '../../random.js';
import { encodeUpdate } from '../../secure/fixed-point.js';
import { project, projectionVectors, vectorNorms } from '../../secure/projection.js';
import { toSigned } from '../../secure/ring.js';
import { hexFrom, sourceFrom } from '../../secure/testing/setup.js';
import { norm } from '../../vectors.js';
import { encodeUnclipped } from '../attacks/encode.js';
import { directionNorm, projectOn, quantiseDirection } from '../direction.js';
import type { RoundProjections, WeightInput } from '../weights/rule.js';

export const FORMAT = { fractionBits: 11, clip: 4 };
export const LENGTH = 512;
const K = 8;

/** A unit vector that all honest vehicles lean to. */
export function commonDirection(random: Random): Float32Array {
  return unit(Float32Array.from({ length: LENGTH }, () => random.normal()));
}

/** An honest update: half of the common direction and independent noise, about `length` long. */
export function honestUpdate(random: Random, common: Float32Array, length = 0.6): Float32Array {
  const own = unit(Float32Array.from({ length: LENGTH }, () => random.normal()));
  return common.map((value, i) => length * (0.5 * value + 0.87 * own[i]!));
}

/** What is opened of some updates, and of earlier rounds of the same vehicles. */
export function inputOf(
  random: Random,
  common: Float32Array,
  updates: readonly Float32Array[],
  past: readonly (readonly Float32Array[])[] = [],
): WeightInput {
  const direction = quantiseDirection(common);
  const opened = (round: readonly Float32Array[]): { vectors: readonly Int8Array[]; encoded: Uint32Array[] } => ({
    vectors: projectionVectors(hexFrom(random), K, LENGTH),
    encoded: round.map((update) =>
      norm(update) <= FORMAT.clip ? encodeUpdate(update, FORMAT, sourceFrom(random)) : encodeUnclipped(update, FORMAT),
    ),
  });
  const { vectors, encoded } = opened(updates);
  return {
    classWeights: updates.map(() => 64),
    projections: encoded.map((values) => toSigned(project(values, vectors))),
    format: FORMAT,
    vectorNorms: vectorNorms(vectors),
    reference: {
      products: Int32Array.from(encoded, (values) => projectOn(values, direction)),
      norm: directionNorm(direction),
    },
    past: past.map((round): RoundProjections => {
      const earlier = opened(round);
      return earlier.encoded.map((values) => toSigned(project(values, earlier.vectors)));
    }),
  };
}

/** The same with its vehicles in another order: place i holds vehicle order[i]. */
export function permuted(input: WeightInput, order: readonly number[]): WeightInput {
  const of = <T>(values: readonly T[]): T[] => order.map((vehicle) => values[vehicle]!);
  return {
    ...input,
    classWeights: of(input.classWeights),
    projections: of(input.projections),
    reference: {
      products: Int32Array.from(order, (vehicle) => input.reference!.products[vehicle]!),
      norm: input.reference!.norm,
    },
    past: input.past!.map((round) => of(round)),
    standing: of(input.standing ?? input.classWeights.map(() => ({ suspicionMilli: 0 }))),
  };
}

function unit(values: Float32Array): Float32Array {
  const length = norm(values);
  return values.map((value) => value / length);
}
