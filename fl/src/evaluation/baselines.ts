// SPDX-License-Identifier: Apache-2.0
import { concatDatasets, type Dataset } from '../data/dataset.js';
import { initialParameters } from '../models/dense.js';
import { deriveSeed } from '../random.js';
import { trainLocal, type TrainingOptions } from '../training/train.js';
import { evaluatePrice, type PriceMetrics } from './metrics.js';

export interface BaselineOptions {
  readonly layers: readonly number[];
  /** Training data of each client. */
  readonly clients: readonly Dataset[];
  /** Common test data. */
  readonly test: Dataset;
  /** `seed` also makes the initial parameters. */
  readonly training: TrainingOptions;
}

/** What is reached when all clients' data lie in one place: the ceiling that a federation is compared with. */
export function centralBaseline({ layers, clients, test, training }: BaselineOptions): PriceMetrics {
  const start = initialParameters(layers, training.seed);
  const seed = deriveSeed(training.seed, 'central');
  return evaluatePrice(trainLocal(start, layers, concatDatasets(clients), { ...training, seed }), layers, test);
}

export interface AloneBaseline {
  /** Mean over clients, each counting once. */
  readonly mean: Omit<PriceMetrics, 'rows'>;
  readonly clients: readonly PriceMetrics[];
}

/**
 * What each client reaches by itself, on the common test data: the floor. For a fair comparison `training.epochs` is
 * what the federation gives a client in all: rounds × local epochs.
 */
export function aloneBaseline({ layers, clients, test, training }: BaselineOptions): AloneBaseline {
  const start = initialParameters(layers, training.seed);
  const metrics = clients.map((data, index) => {
    const seed = deriveSeed(training.seed, 'alone', index);
    return evaluatePrice(trainLocal(start, layers, data, { ...training, seed }), layers, test);
  });
  const mean = (of: (m: PriceMetrics) => number): number => metrics.reduce((sum, m) => sum + of(m), 0) / metrics.length;
  return {
    mean: { r2: mean((m) => m.r2), mae: mean((m) => m.mae), maeLog: mean((m) => m.maeLog) },
    clients: metrics,
  };
}
