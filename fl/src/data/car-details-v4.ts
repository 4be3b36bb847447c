// SPDX-License-Identifier: Apache-2.0
import { basename } from 'node:path';
import { TRANSMISSIONS, type Transmission } from './car.js';
import { testSetFingerprint, type ReadOptions } from './cardekho.js';
import { Cells, checkRowCount, findColumns } from './cells.js';
import type { Dataset } from './dataset.js';
import { FeatureWriter, tokensOf, type Scaling } from './encode.js';
import { csvLines, readText } from './lines.js';
import { PRICE_TARGET } from './price-table.js';
import { shareByFold } from './split.js';
import { hashRank, newLearningTable, type Shares } from './shares.js';
import type { FeatureSet, LearningTable, SplitRequest } from './table.js';
import { toScaled } from './target.js';

/** Columns of `car details v4.csv` that are read; its `Color` says little of the price and is not. */
export const CAR_V4_COLUMNS = [
  'Make',
  'Model',
  'Price',
  'Year',
  'Kilometer',
  'Fuel Type',
  'Transmission',
  'Location',
  'Owner',
  'Seller Type',
  'Engine',
  'Max Power',
  'Max Torque',
  'Drivetrain',
  'Length',
  'Width',
  'Height',
  'Seating Capacity',
  'Fuel Tank Capacity',
] as const;

const FUELS = ['Petrol', 'Diesel', 'CNG', 'LPG', 'Electric', 'Hybrid'] as const;
const SELLERS = ['Individual', 'Corporate', 'Commercial Registration'] as const;
const DRIVETRAINS = ['FWD', 'RWD', 'AWD'] as const;
const OWNERS = ['UnRegistered Car', 'First', 'Second', 'Third', 'Fourth', '4 or More'] as const;

/** What the maker says of a car, by column: the unit that may stand after the number, and the scaling. */
const SPECIFICATIONS = {
  Engine: { unit: /\s*cc$/i, centre: 1_500, scale: 600 },
  // "87 bhp @ 6000 rpm" or "118@6600".
  'Max Power': { unit: /\s*(bhp)?\s*@.*$/i, centre: 120, scale: 60 },
  'Max Torque': { unit: /\s*(nm)?\s*@.*$/i, centre: 230, scale: 130 },
  Length: { unit: /\s*mm$/i, centre: 4_300, scale: 450 },
  Width: { unit: /\s*mm$/i, centre: 1_750, scale: 130 },
  Height: { unit: /\s*mm$/i, centre: 1_600, scale: 140 },
  'Seating Capacity': { unit: /^$/, centre: 5, scale: 1 },
  'Fuel Tank Capacity': { unit: /\s*l$/i, centre: 50, scale: 15 },
} as const satisfies Record<string, Scaling & { unit: RegExp }>;
type Specification = keyof typeof SPECIFICATIONS;
const SPECIFICATION_COLUMNS = Object.keys(SPECIFICATIONS) as Specification[];
const MAX_SPECIFICATION = 100_000;

/** One advert of `car details v4.csv`. */
export interface CarV4Row {
  /** SHA-256 of the line as UTF-8, hex: decides fold and client. */
  readonly hash: string;
  readonly make: string;
  readonly model: string;
  readonly location: string;
  readonly year: number;
  readonly priceRupees: number;
  readonly kilometres: number;
  /** Several for a car that takes more than one. */
  readonly fuels: readonly (typeof FUELS)[number][];
  readonly seller: (typeof SELLERS)[number];
  readonly transmission: Transmission;
  readonly owner: (typeof OWNERS)[number];
  readonly drivetrain: string | undefined;
  readonly specifications: Readonly<Record<Specification, number | undefined>>;
}

const LOCATION_BUCKETS = 32;
const NAME_BUCKETS = 128;

/**
 * (2020 − year)/10, ln(1 + km) − 11, fuels, seller, automatic, owner rank/2, drivetrain, the maker's eight figures with
 * a missing flag each, buckets of the location and of the tokens of make and model.
 */
export const CAR_V4_FEATURES: FeatureSet = {
  name: 'price/car-details-v4',
  width:
    2 +
    FUELS.length +
    SELLERS.length +
    1 +
    1 +
    DRIVETRAINS.length +
    2 * SPECIFICATION_COLUMNS.length +
    LOCATION_BUCKETS +
    NAME_BUCKETS,
};

/** `brand` is the make. */
export const CAR_V4_SPLITS = ['iid', 'brand', 'seller', 'location'] as const;

/**
 * Reads a file in the columns of `car details v4.csv`.
 *
 * @throws DataError as `readCarDekho`.
 */
export async function readCarV4(path: string, options: ReadOptions = {}): Promise<LearningTable> {
  return carV4Table(parseCarV4(await readText(path), basename(path), options), basename(path));
}

/** @throws DataError as `parseCarTable`. */
export function parseCarV4(text: string, source: string, options: ReadOptions = {}): readonly CarV4Row[] {
  const { header, lines } = csvLines(text);
  const columns = findColumns(header, CAR_V4_COLUMNS, ['Color']);
  checkRowCount(source, lines.length, options.minRows);
  return lines.map((line): CarV4Row => {
    const cells = new Cells(line, columns);
    return {
      hash: line.hash,
      make: cells.text('Make'),
      model: cells.text('Model'),
      location: cells.text('Location'),
      year: cells.number('Year', 1900, 2100),
      priceRupees: cells.number('Price', 1, 1e12),
      kilometres: cells.number('Kilometer', 0, 1e8),
      fuels: fuelsOf(cells),
      seller: cells.oneOf('Seller Type', SELLERS),
      transmission: cells.oneOf('Transmission', TRANSMISSIONS),
      owner: cells.oneOf('Owner', OWNERS),
      drivetrain: cells.optional('Drivetrain') === undefined ? undefined : cells.oneOf('Drivetrain', DRIVETRAINS),
      specifications: specificationsOf(cells),
    };
  });
}

/** @returns x of rows × 192, y = ln(price) − 13. */
export function encodeCarsV4(rows: readonly CarV4Row[]): Dataset {
  const writer = new FeatureWriter(rows.length, CAR_V4_FEATURES.width);
  for (const row of rows) {
    writer.number((2020 - row.year) / 10, Math.log(1 + row.kilometres) - 11);
    writer.oneHot(FUELS, ...row.fuels);
    writer.oneHot(SELLERS, row.seller);
    writer.flag(row.transmission === 'Automatic');
    writer.number(Math.min(OWNERS.indexOf(row.owner), 4) / 2);
    writer.oneHot<string | undefined>(DRIVETRAINS, row.drivetrain);
    for (const column of SPECIFICATION_COLUMNS) {
      writer.quantity(row.specifications[column], SPECIFICATIONS[column]);
    }
    writer.buckets([row.location.toLowerCase()], LOCATION_BUCKETS);
    writer.buckets(tokensOf(`${row.make} ${row.model}`), NAME_BUCKETS);
    writer.endRow(toScaled(PRICE_TARGET, row.priceRupees));
  }
  return writer.dataset();
}

export function carV4Table(rows: readonly CarV4Row[], source: string): LearningTable {
  const keys = {
    iid: undefined,
    brand: (row: CarV4Row) => row.make,
    seller: (row: CarV4Row) => row.seller,
    location: (row: CarV4Row) => row.location,
  };
  const facts = {
    source,
    features: CAR_V4_FEATURES,
    target: PRICE_TARGET,
    splits: CAR_V4_SPLITS,
    rows: rows.length,
    testFingerprint: testSetFingerprint({ rows }),
  };
  const share = (split: keyof typeof keys, request: SplitRequest): Shares<CarV4Row> =>
    shareByFold({ source, rows }, request, keys[split]);
  return newLearningTable(facts, share, encodeCarsV4, hashRank);
}

type V4Cells = Cells<(typeof CAR_V4_COLUMNS)[number]>;

/** "Petrol", or "Petrol + CNG" for a car that takes both. */
function fuelsOf(cells: V4Cells): CarV4Row['fuels'] {
  const text = cells.text('Fuel Type');
  return text.split(' + ').map((name) => {
    const fuel = FUELS.find((known) => known === name);
    if (fuel === undefined) {
      throw cells.refusal('DATA_VALUE_UNKNOWN', 'Fuel Type', `"${text}" is none of ${FUELS.join(', ')}`);
    }
    return fuel;
  });
}

function specificationsOf(cells: V4Cells): CarV4Row['specifications'] {
  const entries = SPECIFICATION_COLUMNS.map((column): [Specification, number | undefined] => [
    column,
    cells.optionalQuantity(column, SPECIFICATIONS[column].unit, 0, MAX_SPECIFICATION),
  ]);
  return Object.fromEntries(entries) as Record<Specification, number | undefined>;
}
