// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { DataError } from '../errors.js';
import { evaluatePrice, type PriceMetrics } from './metrics.js';

/** How a model serves its clients one by one: a good mean may hide clients that it fails. */
export interface ClientMetrics {
  /** In the order of the clients; null for a client without test rows. */
  readonly clients: readonly (PriceMetrics | null)[];
  /** Mean over clients with test rows, each counting once. */
  readonly mean: Pick<PriceMetrics, 'mae' | 'maeLog'>;
  /** Mean over the tenth of those clients (at least one) with the largest error of ln(price). */
  readonly worstTenth: Pick<PriceMetrics, 'mae' | 'maeLog'>;
}

/**
 * @param tests test data of each client; may be empty for some.
 * @throws DataError DATA_TOO_FEW_ROWS where no client has a test row; otherwise as `evaluatePrice`.
 */
export function evaluateClients(
  parameters: Float32Array,
  layers: readonly number[],
  tests: readonly Dataset[],
): ClientMetrics {
  const clients = tests.map((data) => (data.rows === 0 ? null : evaluatePrice(parameters, layers, data)));
  const known = clients.filter((metrics) => metrics !== null);
  if (known.length === 0) {
    throw new DataError('DATA_TOO_FEW_ROWS', 'no client has a test row');
  }
  const worst = known.toSorted((a, b) => b.maeLog - a.maeLog).slice(0, Math.ceil(known.length / 10));
  return { clients, mean: meanOf(known), worstTenth: meanOf(worst) };
}

function meanOf(metrics: readonly PriceMetrics[]): Pick<PriceMetrics, 'mae' | 'maeLog'> {
  const mean = (of: (m: PriceMetrics) => number): number => metrics.reduce((sum, m) => sum + of(m), 0) / metrics.length;
  return { mae: mean((m) => m.mae), maeLog: mean((m) => m.maeLog) };
}
