// SPDX-License-Identifier: Apache-2.0
import type { LearningTable } from '@sev/fl';
import type { PriceFile } from './data.js';
import { federate, meanOf } from './federate.js';

export const PRICE_ROUNDS = [10, 30] as const;
/** How far below a published figure another random generator may end. */
export const TOLERANCE = 0.02;

/** A federation and what plain FedAvg with three other seeds reached on the file, R² of fold 0 after rounds 10 and 30. */
export interface PriceCase {
  readonly file: PriceFile;
  readonly split: string;
  readonly clients: number;
  readonly reference: readonly [number, number];
}

export const PRICE_CASES: readonly PriceCase[] = [
  { file: 'cd', split: 'iid', clients: 10, reference: [0.842, 0.851] },
  { file: 'cd', split: 'iid', clients: 50, reference: [0.717, 0.815] },
  { file: 'cd', split: 'iid', clients: 100, reference: [0.613, 0.759] },
  { file: 'cd', split: 'brand', clients: 10, reference: [0.745, 0.787] },
  { file: 'cd', split: 'brand', clients: 50, reference: [0.593, 0.692] },
  { file: 'cd', split: 'brand', clients: 100, reference: [0.429, 0.636] },
  { file: 'v3', split: 'iid', clients: 10, reference: [0.905, 0.904] },
  { file: 'v3', split: 'iid', clients: 50, reference: [0.864, 0.899] },
  { file: 'v3', split: 'iid', clients: 100, reference: [0.816, 0.881] },
  { file: 'v3', split: 'brand', clients: 10, reference: [0.861, 0.879] },
  { file: 'v3', split: 'brand', clients: 50, reference: [0.808, 0.852] },
  { file: 'v3', split: 'brand', clients: 100, reference: [0.752, 0.837] },
];

export interface PriceRow extends PriceCase {
  /** R² after each of {@link PRICE_ROUNDS}, mean over the seeds. */
  readonly r2: readonly number[];
  /** The same by seed. */
  readonly bySeed: readonly (readonly number[])[];
}

/** Federated averaging with the defaults of task `price`. */
export function measurePrices(table: LearningTable, one: PriceCase, seeds: readonly number[]): PriceRow {
  const { split, clients } = one;
  const bySeed = seeds.map((seed) =>
    federate({ kind: 'price', table, split, clients, rounds: PRICE_ROUNDS, seed }).metrics.map(({ r2 }) => r2),
  );
  return { ...one, r2: PRICE_ROUNDS.map((_, at) => meanOf(bySeed.map((row) => row[at] ?? Number.NaN))), bySeed };
}
