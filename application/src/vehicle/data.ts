// SPDX-License-Identifier: Apache-2.0
import {
  CAR_FEATURES,
  encodeCars,
  generateCarTable,
  readCarDekho,
  splitTable,
  type CarTable,
  type Dataset,
} from '@sev/fl';
import { sha256Hex } from '@sev/chaincode/api';

/** Where a vehicle's data comes from: the seeded generator, or a file in the CarDekho columns. */
export type DataSource =
  | { readonly source: 'generated'; readonly rows: number; readonly seed: number }
  | { readonly source: 'file'; readonly path: string };

/** How a data set is shared out among clients; each vehicle is one client of it. */
export interface DataPlan {
  readonly data: DataSource;
  /** `iid` or a column, see `splitTable`. */
  readonly split: string;
  /** Number of clients K. */
  readonly clients: number;
  /** Fewest training rows of a client; default 1. */
  readonly minRows?: number;
}

/** The feature set that this program computes. */
export const FEATURES = CAR_FEATURES.name;

/** @throws DataError */
export function loadTable(data: DataSource): Promise<CarTable> {
  return data.source === 'file' ? readCarDekho(data.path) : Promise.resolve(generateCarTable(data));
}

/**
 * Encodes the rows of some clients only; the others' rows are dropped with the table.
 *
 * @param clients indices below `plan.clients`.
 * @returns one data set for each, in order.
 * @throws DataError
 */
export async function loadClients(plan: DataPlan, clients: readonly number[]): Promise<Dataset[]> {
  const { split, clients: count, minRows } = plan;
  const parts = splitTable(await loadTable(plan.data), {
    split,
    clients: count,
    ...(minRows === undefined ? {} : { minRows }),
  });
  return clients.map((index) => {
    const rows = parts.clients[index];
    if (rows === undefined) {
      throw new RangeError(`client ${String(index)} of ${String(count)}`);
    }
    return encodeCars(rows);
  });
}

/** Seed of one client's training in one round: follows from the task's, so that a repeated training gives the same. */
export function trainingSeed(taskSeed: number, round: number, client: number): number {
  return Number.parseInt(sha256Hex(`${String(taskSeed)}/${String(round)}/${String(client)}`).slice(0, 8), 16);
}
