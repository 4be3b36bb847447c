// SPDX-License-Identifier: Apache-2.0
import { SERVERS } from '@sev/application';
import { foldOf, priceTable, type CarRow, type CarTable } from '@sev/fl';
import { federate, meanOf, type Variant } from './federate.js';

export const SERVER_CLIENTS = 100;
export const SERVER_ROUNDS = 50;
export const SERVER_SPLITS = ['iid', 'brand'] as const;

export interface Candidate extends Variant {
  readonly name: string;
  /** What `sev round run` takes for it; null for what only the ledger's task can say. */
  readonly option: string | null;
}

const MICRO = 1_000_000;
const { momentum, adam, yogi } = SERVERS;
const withMomentum = (rate: number, beta1: number): Variant => ({
  server: { kind: 'momentum', rateMicro: rate * MICRO, beta1Micro: beta1 * MICRO },
});
const withRate = (server: typeof adam, rate: number): Variant => ({ server: { ...server, rateMicro: rate * MICRO } });

/**
 * What is chosen from, the plainest first: the optimisers that the product knows by name, other settings of them, FedProx.
 */
export const CANDIDATES: readonly Candidate[] = [
  { name: 'none', option: '' },
  { name: 'FedProx, μ .1', option: '--proximal 0.1', proximal: 0.1 },
  { name: 'FedProx, μ 1', option: '--proximal 1', proximal: 1 },
  { name: 'momentum, rate 1, β .9', option: '--server momentum', server: momentum },
  { name: 'momentum, rate 1, β .5', option: null, ...withMomentum(1, 0.5) },
  { name: 'momentum, rate .5, β .9', option: null, ...withMomentum(0.5, 0.9) },
  { name: 'momentum and FedProx, μ .1', option: '--server momentum --proximal 0.1', server: momentum, proximal: 0.1 },
  { name: 'adam, rate .03', option: '--server adam', server: adam },
  { name: 'adam, rate .01', option: null, ...withRate(adam, 0.01) },
  { name: 'adam, rate .1', option: null, ...withRate(adam, 0.1) },
  { name: 'yogi, rate .03', option: '--server yogi', server: yogi },
  { name: 'yogi, rate .01', option: null, ...withRate(yogi, 0.01) },
  { name: 'yogi, rate .1', option: null, ...withRate(yogi, 0.1) },
];

export interface ServerRow {
  readonly name: string;
  readonly option: string | null;
  /** R² after {@link SERVER_ROUNDS} by split, mean over the seeds. */
  readonly r2: Readonly<Record<(typeof SERVER_SPLITS)[number], number>>;
  /** Over both splits. */
  readonly mean: number;
}

/** Every candidate on a table's own test fold, 100 clients, 50 rounds. */
export function measureServer(table: CarTable, candidate: Candidate, seeds: readonly number[]): ServerRow {
  const { name, option, ...variant } = candidate;
  const [iid, brand] = SERVER_SPLITS.map((split) => serverR2(table, split, variant, seeds));
  const r2 = { iid: iid ?? Number.NaN, brand: brand ?? Number.NaN };
  return { name, option, r2, mean: meanOf([r2.iid, r2.brand]) };
}

/** @returns R² after {@link SERVER_ROUNDS}, mean over the seeds. */
export function serverR2(table: CarTable, split: string, variant: Variant, seeds: readonly number[]): number {
  const request = { kind: 'price', table: priceTable(table), split, clients: SERVER_CLIENTS, variant } as const;
  return meanOf(
    seeds.map((seed) => federate({ ...request, rounds: [SERVER_ROUNDS], seed }).metrics[0]?.r2 ?? Number.NaN),
  );
}

/** Smaller differences of R² are the seeds'. */
const NOISE = 0.005;

/** The first candidate, the plainest, of those that do as well as any over both splits. */
export function bestServer(rows: readonly ServerRow[]): ServerRow {
  const highest = Math.max(...rows.map(({ mean }) => mean));
  const best = rows.find(({ mean }) => mean > highest - NOISE);
  if (best === undefined) {
    throw new RangeError('The best of nothing');
  }
  return best;
}

/**
 * A table to choose settings on: fold 0, on which results are reported, is taken out, and each other row moves down one
 * fold, so that fold 1 is the test set and folds 2 to 4 are for training. Clients and order are decided by other digits
 * of the hash or by columns, and stay.
 */
export function withoutTestFold(table: CarTable): CarTable {
  const rows = table.rows.filter((row) => foldOf(row) !== 0).map(movedDown);
  return { ...table, source: `${table.source}, folds 1 to 4`, rows };
}

function movedDown(row: CarRow): CarRow {
  const digits = Number.parseInt(row.hash.slice(0, 8), 16) - 1;
  return { ...row, hash: digits.toString(16).padStart(8, '0') + row.hash.slice(8) };
}
