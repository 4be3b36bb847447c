// SPDX-License-Identifier: Apache-2.0
import { checkDataset, type Dataset } from '../data/dataset.js';

/** The non-zero inputs of every row: row r owns the entries start[r] … start[r + 1] − 1 (compressed sparse rows). */
export interface SparseRows {
  readonly rows: number;
  readonly start: Uint32Array;
  readonly column: Uint32Array;
  readonly value: Float64Array;
  /** Inputs that are non-zero in some row, ascending: only their weights can change in training. */
  readonly active: Uint32Array;
}

const prepared = new WeakMap<Dataset, SparseRows>();

/** {@link sparseRows}, done and checked once for a data set, whose arrays must not change after. */
export function preparedRows(data: Dataset): SparseRows {
  const known = prepared.get(data);
  if (known !== undefined) {
    return known;
  }
  checkDataset(data);
  const rows = sparseRows(data);
  prepared.set(data, rows);
  return rows;
}

/** Most of a row is one-hot columns and name buckets, so a row of 140 inputs has about ten that are not zero. */
export function sparseRows({ rows, features, x }: Dataset): SparseRows {
  let count = 0;
  for (const value of x) {
    count += value === 0 ? 0 : 1;
  }
  const start = new Uint32Array(rows + 1);
  const column = new Uint32Array(count);
  const value = new Float64Array(count);
  const used = new Uint8Array(features);
  let next = 0;
  for (let row = 0; row < rows; row++) {
    for (let feature = 0; feature < features; feature++) {
      const input = x[row * features + feature] ?? 0;
      if (input !== 0) {
        column[next] = feature;
        value[next] = input;
        used[feature] = 1;
        next += 1;
      }
    }
    start[row + 1] = next;
  }
  const active = Uint32Array.from([...used.keys()].filter((feature) => used[feature] === 1));
  return { rows, start, column, value, active };
}
