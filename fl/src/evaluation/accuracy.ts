// SPDX-License-Identifier: Apache-2.0
import { CAR_FEATURES } from '../data/features.js';
import type { LearningTable } from '../data/table.js';
import type { ServerOptimiser } from '../aggregation/server-optimiser.js';
import { engineNamed } from '../engines/named.js';
import { aloneBaseline, centralBaseline } from './baselines.js';
import { runFederation } from './federation.js';
import type { Metrics } from './metrics.js';

/** Widths of the hidden layers of every dense network; the published figures are for these. */
export const HIDDEN_LAYERS: readonly number[] = [64, 32];
/** The network of task `price`. */
export const PRICE_LAYERS: readonly number[] = [CAR_FEATURES.width, ...HIDDEN_LAYERS, 1];
/** Local training of a round; the seed comes from the task. */
export const PRICE_TRAINING = { epochs: 5, batchSize: 32, learningRate: 1e-3 } as const;
/** Epochs of the central baseline. */
export const CENTRAL_EPOCHS = 15;

export interface AccuracyOptions {
  readonly table: LearningTable;
  readonly split: string;
  readonly clients: number;
  /** Rounds to report, e.g. [10, 30]; the largest is how long the federation runs. */
  readonly rounds: readonly number[];
  readonly seed: number;
  readonly server?: ServerOptimiser;
  /** Central training and training alone, which gets as many epochs as the federation in all; left out where false. */
  readonly baselines?: boolean;
}

export interface AccuracyRow {
  readonly split: string;
  readonly clients: number;
  readonly seed: number;
  readonly federated: readonly { readonly round: number; readonly metrics: Metrics }[];
  readonly central?: Metrics;
  readonly alone?: Omit<Metrics, 'rows'>;
}

/**
 * One row of the accuracy table: federation, central training and training alone on one table, split and seed.
 *
 * @throws DataError as `splitTable`.
 */
export async function measureAccuracy(options: AccuracyOptions): Promise<AccuracyRow> {
  const { table, split, clients: count, rounds, seed, server, baselines = true } = options;
  const { clients, test } = table.split({ split, clients: count });
  const training = { ...PRICE_TRAINING, seed };
  const layers = [table.features.width, ...HIDDEN_LAYERS, 1];
  const { target } = table;
  const federated = runFederation({
    ...{ layers, target, clients, test, training },
    rounds: Math.max(...rounds),
    evaluateAt: rounds,
    ...(server === undefined ? {} : { server }),
  }).rounds;
  const row = { split, clients: count, seed, federated };
  if (!baselines) {
    return row;
  }
  const engine = await engineNamed('dense');
  const learner = { engine, spec: { kind: 'dense', layers } as const, target, clients, test };
  const aloneEpochs = Math.max(...rounds) * PRICE_TRAINING.epochs;
  return {
    ...row,
    central: await centralBaseline({ ...learner, training: { ...training, epochs: CENTRAL_EPOCHS } }),
    alone: (await aloneBaseline({ ...learner, training: { ...training, epochs: aloneEpochs } })).mean,
  };
}
