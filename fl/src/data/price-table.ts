// SPDX-License-Identifier: Apache-2.0
import { testSetFingerprint } from './cardekho.js';
import type { CarTable } from './car.js';
import { CAR_FEATURES, encodeCars, LOG_PRICE_OFFSET } from './features.js';
import { shareCars, SPLITS } from './split.js';
import { hashRank, newLearningTable } from './shares.js';
import type { LearningTable } from './table.js';
import type { Target } from './target.js';

/** ln(price in rupees) − 13, for every file of used cars. */
export const PRICE_TARGET: Target = { unit: 'rupees', transform: 'log', offset: LOG_PRICE_OFFSET, scale: 1 };

/** Used cars in the columns of `CAR DETAILS FROM CAR DEKHO.csv`, feature set `price/cardekho-v1`. */
export function priceTable(table: CarTable): LearningTable {
  const facts = {
    source: table.source,
    features: CAR_FEATURES,
    target: PRICE_TARGET,
    splits: SPLITS,
    rows: table.rows.length,
    testFingerprint: testSetFingerprint(table),
  };
  return newLearningTable(facts, (_, request) => shareCars(table, request), encodeCars, hashRank);
}
