// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../errors.js';
import { newRandom, type Random } from '../random.js';
import { type CarRow, type CarTable, type Fuel, type Owner, type Seller } from './car.js';
import { formatCarCsv, parseCarTable } from './cardekho.js';

export interface GenerateOptions {
  /** Distinct rows to make. */
  readonly rows: number;
  readonly seed: number;
}

type GeneratedCar = Omit<CarRow, 'hash' | 'brand'>;

/** A model on the market. */
interface CarModel {
  readonly name: string;
  /** Price of the new car with the plainest trim. */
  readonly newPriceRupees: number;
  /** How often the model is on offer, relative to the others. */
  readonly share: number;
  readonly fuels: readonly Fuel[];
}

/** Invented makes, how dear their cars are and how often they are on offer: many small cars, few dear ones. */
const MAKES = [
  { make: 'Ardor', level: 0.7, share: 26 },
  { make: 'Banyan', level: 0.8, share: 18 },
  { make: 'Corvid', level: 0.9, share: 13 },
  { make: 'Delphin', level: 1, share: 11 },
  { make: 'Elster', level: 1.1, share: 9 },
  { make: 'Fennec', level: 1.2, share: 7 },
  { make: 'Gavial', level: 1.4, share: 5 },
  { make: 'Heron', level: 1.9, share: 4 },
  { make: 'Ibis', level: 2.8, share: 3 },
  { make: 'Jackdaw', level: 4, share: 2 },
] as const;

const FUEL_CHOICES: readonly (readonly Fuel[])[] = [
  ['Petrol', 'CNG'],
  ['Petrol', 'Diesel'],
  ['Electric'],
  ['Petrol', 'LPG'],
  ['Diesel'],
];

/**
 * The market is the same for every seed of a fleet: eighty models with names of their own, so that one vehicle's few
 * rows do not show what most cars are worth and the vehicles have something to learn from each other.
 */
const MODELS: readonly CarModel[] = newMarket(newRandom(1));
const TOTAL_SHARE = MODELS.reduce((sum, model) => sum + model.share, 0);

function newMarket(random: Random): readonly CarModel[] {
  const beginnings = ['Ka', 'Lu', 'Mi', 'No', 'Pe', 'Ri', 'So', 'Ta', 'Ve', 'Zu'];
  const endings = ['bra', 'dan', 'gon', 'lix', 'mera', 'nto', 'ris', 'vel'];
  return MAKES.flatMap(({ make, level, share }, position) =>
    endings.map((ending, index): CarModel => {
      const beginning = beginnings[(position + 3 * index) % beginnings.length] ?? '';
      const size = 330_000 + index * 140_000;
      return {
        name: `${make} ${beginning}${ending}`,
        newPriceRupees: Math.round(size * level * (0.7 + 0.6 * random.uniform())),
        share: share * (1 + random.below(3)),
        fuels: pick(FUEL_CHOICES, random),
      };
    }),
  );
}

/** Trim and what it adds to the price of the new car. */
const TRIMS = [
  ['Base', 1],
  ['LX', 1.08],
  ['VX', 1.17],
  ['ZX', 1.28],
  ['Prime', 1.42],
] as const;
const NEWEST_YEAR = 2020;

/**
 * A fleet's used-car data from a seed, in the CarDekho columns: the product's default input, and the same on every
 * machine (sums and products only). Prices follow make, trim, age, use, gearbox, seller and owners, with noise of
 * about a seventh of the price.
 *
 * @throws DataError DATA_OPTION_INVALID where rows is not in 1 … 1,000,000 or the seed is no 32-bit integer.
 */
export function generateCarTable({ rows, seed }: GenerateOptions): CarTable {
  if (!Number.isInteger(rows) || rows < 1 || rows > 1_000_000) {
    throw new DataError('DATA_OPTION_INVALID', 'rows must be a whole number from 1 to 1,000,000');
  }
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff) {
    throw new DataError('DATA_OPTION_INVALID', 'seed must be a whole number from 0 to 4,294,967,295');
  }
  const random = newRandom(seed);
  const cars: GeneratedCar[] = [];
  const seen = new Set<string>();
  while (cars.length < rows) {
    const car = generateCar(random);
    const key = JSON.stringify(car);
    if (!seen.has(key)) {
      seen.add(key);
      cars.push(car);
    }
  }
  return parseCarTable(formatCarCsv(cars), `generated (${String(rows)} rows, seed ${String(seed)})`);
}

function generateCar(random: Random): GeneratedCar {
  const model = drawModel(random);
  const [trim, trimFactor] = pick(TRIMS, random);
  const fuel = pick(model.fuels, random);
  const age = Math.min(random.below(14), random.below(20));
  const kilometresAYear = 11_000 * (1 + 0.35 * Math.max(-2.4, random.normal()));
  const kilometres = Math.round((age + random.uniform()) * kilometresAYear) + 200;
  const transmission = random.uniform() < (fuel === 'Electric' ? 1 : 0.15) ? 'Automatic' : 'Manual';
  const seller = drawSeller(random);
  const owner = drawOwner(age, random);

  let value = model.newPriceRupees * trimFactor;
  // Electric cars lose value faster while their batteries age.
  const yearly = fuel === 'Electric' ? 0.85 : fuel === 'Diesel' ? 0.9 : 0.885;
  for (let year = 0; year < age; year++) {
    value *= yearly;
  }
  value *= 1 / (1 + kilometres / 400_000);
  value *= transmission === 'Automatic' ? 1.12 : 1;
  value *= seller === 'Individual' ? 1 : seller === 'Dealer' ? 1.06 : 1.12;
  value *= {
    'Test Drive Car': 1.1,
    'First Owner': 1,
    'Second Owner': 0.92,
    'Third Owner': 0.85,
    'Fourth & Above Owner': 0.78,
  }[owner];
  value *= Math.max(0.5, 1 + 0.15 * random.normal());
  return {
    name: `${model.name} ${trim}`,
    year: NEWEST_YEAR - age,
    priceRupees: Math.max(15_000, Math.round(value / 1_000) * 1_000),
    kilometres,
    fuel,
    seller,
    transmission,
    owner,
  };
}

function drawModel(random: Random): CarModel {
  let left = random.below(TOTAL_SHARE);
  for (const model of MODELS) {
    left -= model.share;
    if (left < 0) {
      return model;
    }
  }
  throw new RangeError('The shares of the models do not add up');
}

function drawSeller(random: Random): Seller {
  const u = random.uniform();
  return u < 0.7 ? 'Individual' : u < 0.95 ? 'Dealer' : 'Trustmark Dealer';
}

function drawOwner(age: number, random: Random): Owner {
  if (age === 0) {
    return random.uniform() < 0.1 ? 'Test Drive Car' : 'First Owner';
  }
  const changes = random.uniform() * age;
  return changes < 4
    ? 'First Owner'
    : changes < 8
      ? 'Second Owner'
      : changes < 11
        ? 'Third Owner'
        : 'Fourth & Above Owner';
}

function pick<T>(items: readonly T[], random: Random): T {
  const item = items[random.below(items.length)];
  if (item === undefined) {
    throw new RangeError('Nothing to pick from');
  }
  return item;
}
