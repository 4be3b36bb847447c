// SPDX-License-Identifier: Apache-2.0
import { concatDatasets, type Dataset } from '../data/dataset.js';
import type { Target } from '../data/target.js';
import type { Engine } from '../engines/engine.js';
import type { ModelSpec } from '../engines/model.js';
import { ModelError } from '../errors.js';
import { deriveSeed } from '../random.js';
import type { TrainingOptions } from '../training/train.js';
import { metricsOf, type Metrics } from './metrics.js';

/** A model, what it is trained with, and what it predicts. */
export interface Learner {
  readonly engine: Engine;
  readonly spec: ModelSpec;
  readonly target: Target;
}

export interface BaselineOptions extends Learner {
  /** Training data of each client. */
  readonly clients: readonly Dataset[];
  /** Common test data. */
  readonly test: Dataset;
  /** `seed` also makes the initial parameters. */
  readonly training: TrainingOptions;
}

/** Error of a model. @throws as `Engine.predict`; DataError DATA_TOO_FEW_ROWS for an empty data set. */
export async function evaluateBy(learner: Learner, parameters: Float32Array, data: Dataset): Promise<Metrics> {
  const { engine, spec, target } = learner;
  return metricsOf(target, await engine.predict(spec, parameters, data), data.y, data.rowScale);
}

/** What is reached when all clients' data lie in one place: the ceiling that a federation is compared with. */
export async function centralBaseline(options: BaselineOptions): Promise<Metrics> {
  const { engine, spec, clients, test, training } = options;
  const start = engine.initialParameters(spec, training.seed);
  const seed = deriveSeed(training.seed, 'central');
  const trained = await engine.train(spec, start, concatDatasets(clients), { ...training, seed });
  return evaluateBy(options, trained, test);
}

export interface AloneBaseline {
  /** Mean over clients that can be trained, each counting once. */
  readonly mean: Omit<Metrics, 'rows'>;
  /** In the order of the clients; null for one whose training leaves the finite numbers. */
  readonly clients: readonly (Metrics | null)[];
}

/**
 * What each client reaches by itself, on the common test data: the floor. For a fair comparison `training.epochs` is
 * what the federation gives a client in all: rounds × local epochs.
 */
export async function aloneBaseline(options: BaselineOptions): Promise<AloneBaseline> {
  const { engine, spec, test, training } = options;
  const start = engine.initialParameters(spec, training.seed);
  const clients: (Metrics | null)[] = [];
  for (const [index, data] of options.clients.entries()) {
    const seed = deriveSeed(training.seed, 'alone', index);
    const trained = await orDiverged(engine.train(spec, start, data, { ...training, seed }));
    clients.push(trained === undefined ? null : await evaluateBy(options, trained, test));
  }
  const metrics = clients.filter((own) => own !== null);
  const mean = (of: (m: Metrics) => number): number => metrics.reduce((sum, m) => sum + of(m), 0) / metrics.length;
  return { mean: { r2: mean((m) => m.r2), mae: mean((m) => m.mae), maeScaled: mean((m) => m.maeScaled) }, clients };
}

/** @returns undefined for a training that leaves the finite numbers. */
export async function orDiverged(training: Promise<Float32Array>): Promise<Float32Array | undefined> {
  try {
    return await training;
  } catch (error) {
    if (error instanceof ModelError && error.code === 'TRAINING_DIVERGED') {
      return undefined;
    }
    throw error;
  }
}
