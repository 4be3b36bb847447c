// SPDX-License-Identifier: Apache-2.0
import {
  deriveSeed,
  encodeCars,
  generateCarTable,
  initialParameters,
  newRandom,
  PRICE_LAYERS,
  PRICE_TRAINING,
  splitTable,
  trainLocal,
} from '@sev/fl';
import { addScaled } from './least-squares.js';
import type { WatchedUpdates } from './linear-attack.js';

export interface FederationTerms {
  readonly vehicles: number;
  readonly rounds: number;
  /** Rows of the whole fleet. */
  readonly rows: number;
  readonly split: 'iid' | 'brand';
  readonly seed: number;
}

/** Task `price` on the generated fleet, trained for real; the plain mean of all updates is applied in every round. */
export function watchFederation({ vehicles, rounds, rows, split, seed }: FederationTerms): WatchedUpdates {
  const table = generateCarTable({ rows, seed });
  const clients = splitTable(table, { clients: vehicles, split }).clients.map((one) => encodeCars(one));
  let base = initialParameters(PRICE_LAYERS, seed);
  return Array.from({ length: rounds }, (_, round) => {
    const updates = clients.map((data, vehicle) => {
      const options = { ...PRICE_TRAINING, seed: deriveSeed(seed, round, vehicle) };
      return trainLocal(base, PRICE_LAYERS, data, options).map((value, i) => value - (base[i] ?? 0));
    });
    const next = Float64Array.from(base);
    updates.forEach((update) => {
      addScaled(next, 1 / vehicles, update);
    });
    base = Float32Array.from(next);
    return updates;
  });
}

/**
 * Updates without training: a Gaussian deviation of each vehicle that stays, and noise of every round.
 *
 * @param o.noise deviation of a round's noise relative to that of the persistent part.
 */
export function syntheticUpdates(o: {
  readonly vehicles: number;
  readonly rounds: number;
  readonly length: number;
  readonly noise: number;
  readonly seed: number;
}): WatchedUpdates {
  const { vehicles, rounds, length, noise, seed } = o;
  const random = newRandom(seed);
  const scale = 0.01;
  const persistent = Array.from({ length: vehicles }, () =>
    Float32Array.from({ length }, () => scale * random.normal()),
  );
  return Array.from({ length: rounds }, () =>
    persistent.map((deviation) => deviation.map((value) => value + scale * noise * random.normal())),
  );
}
