// SPDX-License-Identifier: Apache-2.0
import type { DataSource } from '../vehicle/data.js';

/** Rows and seed of the data that ships with the product: about as many as the published figures' file has. */
const GENERATED_ROWS = 4_000;
const GENERATED_SEED = 1;

export function generatedData(rows = GENERATED_ROWS, seed = GENERATED_SEED): DataSource {
  return { source: 'generated', rows, seed };
}
