// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import {
  directionNorm,
  encodeUpdate,
  newRandom,
  project,
  projectionVectors,
  seededRandom,
  shuffle,
  toSigned,
  type FixedPoint,
  type Random,
} from '@sev/fl';
import { addScaled, cosine, dot, gramMatrix, solveRidge } from './least-squares.js';

/**
 * What a patient reader of everything that is opened learns of each vehicle over the rounds of a task. A vehicle's data
 * pull its updates to one side of the mean again and again; the best linear estimate of that mean deviation is compared
 * with the true one. Cosine 1: the vehicle's typical update is known but for its length; 0: nothing is.
 *
 * Both attacks estimate x from equations A x = y as x̂ = D Aᵀ (A D Aᵀ + λI)⁻¹ y, the best linear estimate for a prior of
 * covariance D and noise λ. The attacker is given the λ that serves it best.
 */

/** By round, then vehicle: update of length d. No party of the product has them. */
export type WatchedUpdates = readonly (readonly Float32Array[])[];

/** λ relative to the mean eigenvalue of A D Aᵀ. */
const RIDGES = [0, 0.1, 1, 10] as const;
const FORMAT: FixedPoint = { fractionBits: 11, clip: 4 };

/**
 * Which prior the attacker puts on a deviation.
 *
 * - `flat`: all coordinates alike, which is ridge regression.
 * - `totals`: each with the variance of the opened totals over the rounds, because parameters that move are the ones in
 *   which vehicles differ.
 * - `oracle`: each with its true variance over the vehicles, which nobody has: bounds every prior of this kind.
 */
export type Prior = 'flat' | 'totals' | 'oracle';

/**
 * The product as it is: K fresh random projections of each vehicle's quantised update in a round, and the round's total.
 * Dimension and vectors are the product's. d unknowns face rounds · K equations, 240 at the defaults, so the dual form
 * is small enough to be solved as it stands.
 *
 * @param updates clipped to C = 4 and quantised with f = 11 here, as vehicles do.
 * @param o.directions reference direction of each round, on which every update's product is opened too; none where not
 *   given.
 * @returns mean over the vehicles of the cosine of estimate and truth.
 */
export function attackProjections(
  updates: WatchedUpdates,
  o: {
    readonly projections: number;
    readonly seed: number;
    readonly prior?: Prior;
    readonly directions?: readonly Int32Array[];
  },
): number {
  const { projections, seed, prior = 'flat', directions = [] } = o;
  const truth = meanDeviations(updates);
  const length = truth[0]?.length ?? 0;
  const vectors: (Int8Array | Float64Array)[] = [];
  const observed = truth.map((): number[] => []);
  for (const [round, ofRound] of updates.entries()) {
    const fresh = projectionVectors(hexSeed(seed, round, 'vectors'), projections, length);
    const direction = directions[round];
    const reference = direction === undefined ? [] : [scaledDirection(direction)];
    vectors.push(...fresh, ...reference);
    const rounding = seededRandom(Buffer.from(hexSeed(seed, round, 'rounding'), 'hex'));
    const opened = ofRound.map((update) => {
      const encoded = encodeUpdate(update, FORMAT, rounding);
      const products = reference.map((vector) => dot(vector, toSigned(encoded)) / 2 ** FORMAT.fractionBits);
      return [...openProjections(encoded, fresh), ...products];
    });
    // Projections of the mean, which follow from the opened total.
    const mean = meanOf(opened);
    opened.forEach((values, vehicle) => observed[vehicle]?.push(...values.map((value, k) => value - (mean[k] ?? 0))));
  }
  const variances = priorVariances(prior, updates, truth);
  const gram = gramMatrix(vectors, variances);
  return bestOf((ridge) =>
    observed.map((values) => {
      const estimate = combination(vectors, solveRidge(gram, ridge, values), length);
      return estimate.map((value, i) => value * (variances[i] ?? 0));
    }),
  )(truth);
}

/**
 * What the product does not do: sums of groups of vehicles, drawn anew in each round. Every coordinate has the same
 * equations, one for each group and round, in as many unknowns as there are vehicles.
 *
 * @returns mean over the vehicles of the cosine of estimate and truth.
 */
export function attackGroups(
  updates: WatchedUpdates,
  { groupSize, seed }: { readonly groupSize: number; readonly seed: number },
): number {
  const truth = meanDeviations(updates);
  const length = truth[0]?.length ?? 0;
  const random = newRandom(seed);
  const memberships: Int8Array[] = [];
  const sums: Float64Array[] = [];
  for (const ofRound of updates) {
    const mean = meanOf(ofRound);
    const order = shuffled(ofRound.length, random);
    for (let start = 0; start < order.length; start += groupSize) {
      const group = order.slice(start, start + groupSize);
      memberships.push(Int8Array.from(ofRound, (_, vehicle) => (group.includes(vehicle) ? 1 : 0)));
      const sum = new Float64Array(length);
      group.forEach((vehicle) => {
        addScaled(sum, 1, ofRound[vehicle] ?? []);
      });
      addScaled(sum, -group.length, mean);
      sums.push(sum);
    }
  }
  const gram = gramMatrix(memberships);
  // Row i of Aᵀ (A Aᵀ + λI)⁻¹ is the solution for column i of A; it is the same for all coordinates.
  return bestOf((ridge) =>
    truth.map((_, vehicle) => {
      const column = memberships.map((row) => row[vehicle] ?? 0);
      return combination(sums, solveRidge(gram, ridge, column), length);
    }),
  )(truth);
}

/** Each vehicle's mean over the rounds of its update less the round's mean. */
export function meanDeviations(updates: WatchedUpdates): readonly Float64Array[] {
  const means = updates.map(meanOf);
  const overall = meanOf(means);
  return (updates[0] ?? []).map((_, vehicle) => {
    const own = meanOf(updates.map((ofRound) => ofRound[vehicle] ?? new Float32Array()));
    addScaled(own, -1, overall);
    return own;
  });
}

/** ⟨u, v⟩ of a quantised update, as all aggregators together open it. */
function openProjections(encoded: Uint32Array, vectors: readonly Int8Array[]): readonly number[] {
  const opened = new Int32Array(project(encoded, vectors).buffer);
  return Array.from(opened, (value) => value / 2 ** FORMAT.fractionBits);
}

/** A direction at the norm of a random vector, so that its equation weighs like theirs. */
function scaledDirection(direction: Int32Array): Float64Array {
  const factor = Math.sqrt(direction.length / 2) / directionNorm(direction);
  return Float64Array.from(direction, (value) => value * factor);
}

function priorVariances(prior: Prior, updates: WatchedUpdates, truth: readonly Float64Array[]): Float64Array {
  switch (prior) {
    case 'flat':
      return new Float64Array(truth[0]?.length ?? 0).fill(1);
    case 'totals':
      return varianceOf(updates.map(meanOf));
    case 'oracle':
      return varianceOf(truth);
  }
}

/** Of each coordinate, plus a little so that none is excluded. */
function varianceOf(vectors: readonly Float64Array[]): Float64Array {
  const variances = meanOf(vectors).map((mean, i) =>
    vectors.reduce((sum, one) => sum + ((one[i] ?? 0) - mean) ** 2, 0),
  );
  const floor = 1e-3 * (variances.reduce((a, b) => a + b, 0) / variances.length);
  return variances.map((value) => value + floor);
}

function bestOf(estimate: (ridge: number) => readonly Float64Array[]): (truth: readonly Float64Array[]) => number {
  return (truth) =>
    Math.max(
      ...RIDGES.map((ridge) => {
        const cosines = estimate(ridge).map((one, vehicle) => cosine(one, truth[vehicle] ?? []));
        return cosines.reduce((a, b) => a + b, 0) / cosines.length;
      }),
    );
}

/** Σ weights_i · vectors_i */
function combination(vectors: readonly ArrayLike<number>[], weights: Float64Array, length: number): Float64Array {
  const result = new Float64Array(length);
  vectors.forEach((vector, i) => {
    addScaled(result, weights[i] ?? 0, vector);
  });
  return result;
}

function meanOf(vectors: readonly ArrayLike<number>[]): Float64Array {
  const mean = new Float64Array(vectors[0]?.length ?? 0);
  vectors.forEach((vector) => {
    addScaled(mean, 1 / vectors.length, vector);
  });
  return mean;
}

function shuffled(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  shuffle(order, random);
  return order;
}

function hexSeed(seed: number, round: number, purpose: string): string {
  return createHash('sha256')
    .update(JSON.stringify(['linear attack', seed, round, purpose]))
    .digest('hex');
}
