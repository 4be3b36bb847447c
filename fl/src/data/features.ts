// SPDX-License-Identifier: Apache-2.0
import { FUELS, OWNERS, SELLERS, type CarRow } from './car.js';
import type { Dataset } from './dataset.js';
import { fnv1a } from './fnv.js';

const NAME_BUCKETS = 128;

/** A named feature set: an update can only be aggregated with updates on the same one. */
export const CAR_FEATURES = {
  name: 'price/cardekho-v1',
  /** (2020 − year)/10, ln(1 + km) − 11, fuel, seller, automatic, owner rank/2, buckets of name tokens. */
  width: 2 + FUELS.length + SELLERS.length + 1 + 1 + NAME_BUCKETS,
} as const;

/** The target is ln(price in rupees) less this, which is about its mean. A public constant, not taken from any data. */
export const LOG_PRICE_OFFSET = 13;

/**
 * Feature set `price/cardekho-v1`. All scales are public constants, so nothing is learned from pooled data.
 * Name tokens (lower-cased words) set bucket FNV-1a(token) mod 128 to 1.
 * Every value is rounded to float32, which also hides the last bit in which logarithms of different engines may differ.
 *
 * @returns x of rows × 140, y = ln(price) − 13.
 */
export function encodeCars(rows: readonly CarRow[]): Dataset {
  const features = CAR_FEATURES.width;
  const x = new Float32Array(rows.length * features);
  const y = new Float32Array(rows.length);
  rows.forEach((row, index) => {
    let at = index * features;
    x[at++] = (2020 - row.year) / 10;
    x[at++] = Math.log(1 + row.kilometres) - 11;
    x[at + FUELS.indexOf(row.fuel)] = 1;
    at += FUELS.length;
    x[at + SELLERS.indexOf(row.seller)] = 1;
    at += SELLERS.length;
    x[at++] = row.transmission === 'Automatic' ? 1 : 0;
    x[at++] = OWNERS.indexOf(row.owner) / 2;
    for (const token of row.name.toLowerCase().split(/\s+/)) {
      x[at + (fnv1a(token) % NAME_BUCKETS)] = 1;
    }
    y[index] = Math.log(row.priceRupees) - LOG_PRICE_OFFSET;
  });
  return { features, rows: rows.length, x, y };
}
