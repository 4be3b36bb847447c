// SPDX-License-Identifier: Apache-2.0
import type { CarTable } from '../data/car.js';
import { CAR_FEATURES, encodeCars } from '../data/features.js';
import { splitTable } from '../data/split.js';
import { aloneBaseline, centralBaseline } from './baselines.js';
import { runFederation } from './federation.js';
import type { PriceMetrics } from './metrics.js';

/** The network that the published figures are for. */
export const PRICE_LAYERS: readonly number[] = [CAR_FEATURES.width, 64, 32, 1];
/** Local training of a round; the seed comes from the task. */
export const PRICE_TRAINING = { epochs: 5, batchSize: 32, learningRate: 1e-3 } as const;
/** Epochs of the central baseline. */
export const CENTRAL_EPOCHS = 15;

export interface AccuracyOptions {
  readonly table: CarTable;
  readonly split: string;
  readonly clients: number;
  /** Rounds to report, e.g. [10, 30]; the largest is how long the federation runs. */
  readonly rounds: readonly number[];
  readonly seed: number;
  /** Central training and training alone, which gets as many epochs as the federation in all; left out where false. */
  readonly baselines?: boolean;
}

export interface AccuracyRow {
  readonly split: string;
  readonly clients: number;
  readonly seed: number;
  readonly federated: readonly { readonly round: number; readonly metrics: PriceMetrics }[];
  readonly central?: PriceMetrics;
  readonly alone?: Omit<PriceMetrics, 'rows'>;
}

/**
 * One row of the accuracy table: federation, central training and training alone on one table, split and seed.
 *
 * @throws DataError as `splitTable`.
 */
export function measureAccuracy(options: AccuracyOptions): AccuracyRow {
  const { table, split, clients: count, rounds, seed, baselines = true } = options;
  const parts = splitTable(table, { split, clients: count });
  const clients = parts.clients.map(encodeCars);
  const test = encodeCars(parts.test);
  const training = { ...PRICE_TRAINING, seed };
  const common = { layers: PRICE_LAYERS, clients, test };
  const federated = runFederation({ ...common, training, rounds: Math.max(...rounds), evaluateAt: rounds }).rounds;
  const row = { split, clients: count, seed, federated };
  if (!baselines) {
    return row;
  }
  const aloneEpochs = Math.max(...rounds) * PRICE_TRAINING.epochs;
  return {
    ...row,
    central: centralBaseline({ ...common, training: { ...training, epochs: CENTRAL_EPOCHS } }),
    alone: aloneBaseline({ ...common, training: { ...training, epochs: aloneEpochs } }).mean,
  };
}
