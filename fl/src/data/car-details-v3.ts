// SPDX-License-Identifier: Apache-2.0
import { basename } from 'node:path';
import { FUELS, OWNERS, SELLERS, type CarRow } from './car.js';
import { CAR_COLUMNS, carRow, testSetFingerprint, type ReadOptions } from './cardekho.js';
import { Cells, checkRowCount, findColumns } from './cells.js';
import type { Dataset } from './dataset.js';
import { FeatureWriter, tokensOf, type Scaling } from './encode.js';
import { csvLines, readText } from './lines.js';
import { PRICE_TARGET } from './price-table.js';
import { shareByFold, SPLITS, type Split } from './split.js';
import { hashRank, newLearningTable, type Shares } from './shares.js';
import type { FeatureSet, LearningTable, SplitRequest } from './table.js';
import { toScaled } from './target.js';

/** Columns of `Car details v3.csv` that are read; its `torque` is free text and is not. */
export const CAR_V3_COLUMNS = [...CAR_COLUMNS, 'mileage', 'engine', 'max_power', 'seats'] as const;

/** An advert with what the maker says of the car; a missing value, or the 0 that stands for one, is undefined. */
export interface CarV3Row extends CarRow {
  /** km per litre, for gas km per kilogram. */
  readonly mileage: number | undefined;
  readonly engineCubicCm: number | undefined;
  readonly powerBhp: number | undefined;
  readonly seats: number | undefined;
}

const NAME_BUCKETS = 128;

const SCALINGS = {
  mileage: { centre: 20, scale: 5 },
  engineCubicCm: { centre: 1_400, scale: 500 },
  powerBhp: { centre: 90, scale: 35 },
  seats: { centre: 5, scale: 1 },
} as const satisfies Record<string, Scaling>;

/** As `price/cardekho-v1`, and (value − centre)/scale with a missing flag of mileage, engine, power and seats. */
export const CAR_V3_FEATURES: FeatureSet = {
  name: 'price/car-details-v3',
  width: 2 + FUELS.length + SELLERS.length + 1 + 1 + 2 * Object.keys(SCALINGS).length + NAME_BUCKETS,
};

/**
 * Reads a file in the columns of `Car details v3.csv`.
 *
 * @throws DataError as `readCarDekho`.
 */
export async function readCarV3(path: string, options: ReadOptions = {}): Promise<LearningTable> {
  return carV3Table(parseCarV3(await readText(path), basename(path), options), basename(path));
}

/** @throws DataError as `parseCarTable`. */
export function parseCarV3(text: string, source: string, options: ReadOptions = {}): readonly CarV3Row[] {
  const { header, lines } = csvLines(text);
  const columns = findColumns(header, CAR_V3_COLUMNS, ['torque']);
  checkRowCount(source, lines.length, options.minRows);
  return lines.map((line): CarV3Row => {
    const cells = new Cells(line, columns);
    const quantity = (column: (typeof CAR_V3_COLUMNS)[number], unit: RegExp, high: number): number | undefined => {
      const value = cells.optionalQuantity(column, unit, 0, high);
      return value === 0 ? undefined : value;
    };
    return {
      ...carRow(line.hash, cells),
      mileage: quantity('mileage', /\s*(kmpl|km\/kg)$/i, 200),
      engineCubicCm: quantity('engine', /\s*cc$/i, 20_000),
      powerBhp: quantity('max_power', /\s*bhp$/i, 2_000),
      seats: quantity('seats', /^$/, 100),
    };
  });
}

/** @returns x of rows × 148, y = ln(price) − 13. */
export function encodeCarsV3(rows: readonly CarV3Row[]): Dataset {
  const writer = new FeatureWriter(rows.length, CAR_V3_FEATURES.width);
  for (const row of rows) {
    writer.number((2020 - row.year) / 10, Math.log(1 + row.kilometres) - 11);
    writer.oneHot(FUELS, row.fuel);
    writer.oneHot(SELLERS, row.seller);
    writer.flag(row.transmission === 'Automatic');
    writer.number(OWNERS.indexOf(row.owner) / 2);
    writer.quantity(row.mileage, SCALINGS.mileage);
    writer.quantity(row.engineCubicCm, SCALINGS.engineCubicCm);
    writer.quantity(row.powerBhp, SCALINGS.powerBhp);
    writer.quantity(row.seats, SCALINGS.seats);
    writer.buckets(tokensOf(row.name), NAME_BUCKETS);
    writer.endRow(toScaled(PRICE_TARGET, row.priceRupees));
  }
  return writer.dataset();
}

export function carV3Table(rows: readonly CarV3Row[], source: string): LearningTable {
  const facts = {
    source,
    features: CAR_V3_FEATURES,
    target: PRICE_TARGET,
    splits: SPLITS,
    rows: rows.length,
    testFingerprint: testSetFingerprint({ rows }),
  };
  const share = (split: Split, request: SplitRequest): Shares<CarV3Row> =>
    shareByFold({ source, rows }, request, split === 'iid' ? undefined : (row) => row[split]);
  return newLearningTable(facts, share, encodeCarsV3, hashRank);
}
