// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import {
  addTo,
  componentSum,
  decodeTotal,
  deriveSeed,
  encodeUpdate,
  initialParameters,
  noiseVector,
  project,
  projectionVectors,
  seededRandom,
  toSigned,
  totalOf,
  trainLocal,
  vectorNorms,
  WEIGHT_RULES,
  type Dataset,
  type FixedPoint,
  type RandomSource,
  type TrainingOptions,
} from '@sev/fl';

/** Noise of mode `dp`: every aggregator adds all of it. */
export interface NoiseOptions {
  readonly aggregators: number;
  /** σ of one aggregator's noise, in units of 2^−f. */
  readonly deviation: number;
}

export interface SecureFederationOptions {
  readonly layers: readonly number[];
  readonly clients: readonly Dataset[];
  readonly rounds: number;
  /** `seed` also makes the initial parameters, as in `runFederation`. */
  readonly training: TrainingOptions;
  readonly format: FixedPoint;
  /** Public weight of each client's class. */
  readonly classWeights: readonly number[];
  /** K of the rule `norm-scaling`; 0 opens none and all count with their class. */
  readonly projections: number;
  readonly noise?: NoiseOptions;
}

/**
 * Rounds in a secure mode, without ledger, sealing and shares: codec, weights, noise and integer sums are the product's.
 * Shares are left out because they add up to the encoded vector exactly, so they change no model.
 *
 * @returns the model, length d.
 */
export function runSecureFederation(options: SecureFederationOptions): Float32Array {
  let base = initialParameters(options.layers, options.training.seed);
  for (let round = 1; round <= options.rounds; round++) {
    base = nextModel(base, round, options);
  }
  return base;
}

/** model = base + T / (2^f · W), as coordinator and attesters compute it. */
function nextModel(base: Float32Array, round: number, options: SecureFederationOptions): Float32Array {
  const { clients, layers, training, format } = options;
  const { seed } = training;
  const encoded = clients.map((data, index) => {
    const trained = trainLocal(base, layers, data, { ...training, seed: deriveSeed(seed, round, index) });
    const update = trained.map((value, i) => value - (base[i] ?? 0));
    return encodeUpdate(update, format, sourceOf(seed, round, index, 'rounding'));
  });
  const weights = weightsOf(encoded, round, options);
  const sum = componentSum(
    encoded.map((values, index) => ({ values, weight: weights[index] ?? 0 })),
    base.length,
  );
  for (let aggregator = 0; aggregator < (options.noise?.aggregators ?? 0); aggregator++) {
    addTo(sum, noiseOf(base.length, round, aggregator, options));
  }
  const mean = decodeTotal(
    totalOf([sum]),
    weights.reduce((a, b) => a + b, 0),
    format,
  );
  return base.map((value, i) => value + (mean[i] ?? 0));
}

function weightsOf(
  encoded: readonly Uint32Array[],
  round: number,
  { classWeights, projections, format, training }: SecureFederationOptions,
): readonly number[] {
  if (projections === 0) {
    return classWeights;
  }
  const vectors = projectionVectors(hexOf(training.seed, round, 'vectors'), projections, encoded[0]?.length ?? 0);
  return WEIGHT_RULES['norm-scaling'].weigh({
    classWeights,
    projections: encoded.map((values) => toSigned(project(values, vectors))),
    format,
    vectorNorms: vectorNorms(vectors),
  }).weights;
}

function noiseOf(length: number, round: number, aggregator: number, options: SecureFederationOptions): Uint32Array {
  const { noise, training } = options;
  const seed = Buffer.from(hexOf(training.seed, round, aggregator, 'noise'), 'hex');
  const context = hexOf(training.seed, round, 'context');
  return noiseVector(seed, { context, holders: [], length, deviation: noise?.deviation ?? 1 });
}

function sourceOf(...labels: readonly (string | number)[]): RandomSource {
  return seededRandom(Buffer.from(hexOf(...labels), 'hex'));
}

function hexOf(...labels: readonly (string | number)[]): string {
  return createHash('sha256')
    .update(JSON.stringify(['secure federation', ...labels]))
    .digest('hex');
}
