// SPDX-License-Identifier: Apache-2.0
import { fedAvg } from '../aggregation/fedavg.js';
import type { AggregationRule } from '../aggregation/rule.js';
import type { Dataset } from '../data/dataset.js';
import { initialParameters } from '../models/dense.js';
import { deriveSeed } from '../random.js';
import { trainLocal, type TrainingOptions } from '../training/train.js';
import { evaluatePrice, type PriceMetrics } from './metrics.js';

export interface FederationOptions {
  readonly layers: readonly number[];
  /** Training data of each client. */
  readonly clients: readonly Dataset[];
  /** Common test data. */
  readonly test: Dataset;
  readonly rounds: number;
  /** Local training of each round; `seed` also makes the initial parameters. */
  readonly training: TrainingOptions;
  /** Integer weight of each client; its number of rows where not given. */
  readonly weights?: readonly number[];
  /** Federated averaging where not given. */
  readonly rule?: AggregationRule;
  /** Only these rounds are evaluated; all where not given. */
  readonly evaluateAt?: readonly number[];
}

export interface FederationResult {
  readonly parameters: Float32Array;
  readonly rounds: readonly { readonly round: number; readonly metrics: PriceMetrics }[];
}

/** A federation in memory, every client in every round: what the rounds on a network are checked against. */
export function runFederation(options: FederationOptions): FederationResult {
  const { layers, clients, test, rounds, training, weights, rule = fedAvg, evaluateAt } = options;
  let parameters = initialParameters(layers, training.seed);
  const evaluated: { round: number; metrics: PriceMetrics }[] = [];
  for (let round = 1; round <= rounds; round++) {
    const base = parameters;
    const updates = clients.map((data, index) => {
      const seed = deriveSeed(training.seed, round, index);
      return {
        parameters: trainLocal(base, layers, data, { ...training, seed }),
        weight: weights?.[index] ?? data.rows,
      };
    });
    parameters = rule.aggregate(base, updates);
    if (evaluateAt?.includes(round) ?? true) {
      evaluated.push({ round, metrics: evaluatePrice(parameters, layers, test) });
    }
  }
  return { parameters, rounds: evaluated };
}
