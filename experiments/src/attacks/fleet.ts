// SPDX-License-Identifier: Apache-2.0
import { encodeCars, isTestRow, splitTable, type CarRow, type CarTable, type Dataset } from '@sev/fl';

/** Organisations that hold a root set each and train the reference direction. */
export const VALIDATORS = 4;

/** Data of a federation with validators; no row is anywhere twice. */
export interface ValidatedFleet {
  readonly vehicles: readonly Dataset[];
  /** The root set of each validator. */
  readonly roots: readonly Dataset[];
  /** Fold 0 of the table. */
  readonly test: Dataset;
}

export interface FleetRequest {
  readonly split: string;
  readonly vehicles: number;
  /** Rows of each validator, taken out of the training rows. */
  readonly rootRows: number;
}

/**
 * Takes the validators' rows out of the training rows by their hashes, so that everybody takes the same, and shares the
 * others out among the vehicles.
 *
 * @throws DataError as `splitTable`.
 */
export function validatedFleet(table: CarTable, { split, vehicles, rootRows }: FleetRequest): ValidatedFleet {
  const order = table.rows.filter((row) => !isTestRow(row)).sort((a, b) => rankOf(a) - rankOf(b));
  const taken = order.slice(0, VALIDATORS * rootRows);
  const isTaken = new Set(taken.map(({ hash }) => hash));
  const others = table.rows.filter(({ hash }) => !isTaken.has(hash));
  const parts = splitTable({ ...table, rows: others }, { split, clients: vehicles });
  return {
    vehicles: parts.clients.map(encodeCars),
    roots: Array.from({ length: VALIDATORS }, (_, i) => encodeCars(taken.filter((__, at) => at % VALIDATORS === i))),
    test: encodeCars(parts.test),
  };
}

/** Other digits of the hash than those of fold and client. */
function rankOf({ hash }: CarRow): number {
  return Number.parseInt(hash.slice(16, 24), 16);
}
