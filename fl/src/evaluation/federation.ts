// SPDX-License-Identifier: Apache-2.0
import { fedAvg } from '../aggregation/fedavg.js';
import type { AggregationRule } from '../aggregation/rule.js';
import { initialServerState, serverStep, type ServerOptimiser } from '../aggregation/server-optimiser.js';
import type { Dataset } from '../data/dataset.js';
import { PRICE_TARGET } from '../data/price-table.js';
import type { Target } from '../data/target.js';
import { initialParameters } from '../models/dense.js';
import { deriveSeed } from '../random.js';
import { trainLocal, type TrainingOptions } from '../training/train.js';
import { evaluate, type Metrics } from './metrics.js';

export interface FederationOptions {
  readonly layers: readonly number[];
  /** Training data of each client. */
  readonly clients: readonly Dataset[];
  /** Common test data. */
  readonly test: Dataset;
  /** What is predicted; the price of a used car where not given. */
  readonly target?: Target;
  readonly rounds: number;
  /** Local training of each round; `seed` also makes the initial parameters. */
  readonly training: TrainingOptions;
  /** Integer weight of each client; its number of rows where not given. */
  readonly weights?: readonly number[];
  /** Federated averaging where not given. */
  readonly rule?: AggregationRule;
  /** What the average does to the model; by default it is the model. */
  readonly server?: ServerOptimiser;
  /** Only these rounds are evaluated; all where not given. */
  readonly evaluateAt?: readonly number[];
}

export interface FederationResult {
  readonly parameters: Float32Array;
  readonly rounds: readonly { readonly round: number; readonly metrics: Metrics }[];
}

/** A federation in memory, every client in every round: what the rounds on a network are checked against. */
export function runFederation(options: FederationOptions): FederationResult {
  const {
    layers,
    clients,
    test,
    rounds,
    training,
    weights,
    rule = fedAvg,
    server = { kind: 'none' },
    evaluateAt,
    target = PRICE_TARGET,
  } = options;
  let parameters = initialParameters(layers, training.seed);
  let state = initialServerState(server, parameters.length);
  const evaluated: { round: number; metrics: Metrics }[] = [];
  for (let round = 1; round <= rounds; round++) {
    const base = parameters;
    const updates = clients.map((data, index) => {
      const seed = deriveSeed(training.seed, round, index);
      return {
        parameters: trainLocal(base, layers, data, { ...training, seed }),
        weight: weights?.[index] ?? data.rows,
      };
    });
    ({ parameters, state } = serverStep(server, base, rule.aggregate(base, updates), state));
    if (evaluateAt?.includes(round) ?? true) {
      evaluated.push({ round, metrics: evaluate(parameters, layers, target, test) });
    }
  }
  return { parameters, rounds: evaluated };
}
