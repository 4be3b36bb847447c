// SPDX-License-Identifier: Apache-2.0
import { FUELS, SELLERS, layerPlaces, newRandom, type LayerPlace, type Random } from '@sev/fl';
import { PLACES, readFeatures, type CarGuess } from './car-guess.js';

/**
 * Reads training records out of one vehicle's update, knowing the model it started from: the attack that sharing has to
 * stop. The first layer gives a record away, because the derivatives by a unit's weights are its inputs times the
 * derivative by its bias. (Phong et al., "Privacy-preserving deep learning via additively homomorphic encryption", 2018,
 * section 3; for batches through units that are open for one record alone: Boenisch et al., "When the curious abandon
 * honesty", 2021)
 *
 * - `gradient`, one step of plain gradient descent: a unit that is open for one record alone shows all of its inputs.
 * - `adam`, the default: Adam divides by the size of a derivative, which leaves of an input whether it is zero. So the
 *   categories and the words of the name are read off; and which units are open for the record says on which side of a
 *   hyperplane it lies, once for each unit. The numbers are the middle of what these leave.
 */
export interface Inversion {
  readonly base: Float32Array;
  readonly layers: readonly number[];
  /** Length d: the update, or an estimate of it. */
  readonly update: ArrayLike<number>;
  readonly step: 'gradient' | 'adam';
  /** Records at the most. */
  readonly records: number;
  /** Of the sampling. */
  readonly seed: number;
}

/** A unit of the first layer that was open for some record. */
interface OpenUnit {
  readonly unit: number;
  /** Categories and words that some record has for which it was open. */
  readonly inputs: ReadonlySet<number>;
}

/** Draws of a pass; the second looks closer at what the first left. */
const DRAWS = 2_000;
/** Age/10, ln(1 + km) − 11 and owners/2 of cars, which everybody knows. */
const BOX: Box = { age: [0, 2.5], use: [-5, 3] };
const OWNER_RANKS = 5;

interface Box {
  readonly age: readonly [number, number];
  readonly use: readonly [number, number];
}

/** Age, use and owner as the features have them. */
type Numbers = readonly [age: number, use: number, owner: number];

/** @returns at most `records` guesses, the best supported first. */
export function invertUpdate(attack: Inversion): readonly CarGuess[] {
  const place = firstLayer(attack.layers);
  const units = openUnits(attack.update, place);
  const alone = loneRecords(units).slice(0, attack.records);
  if (alone.length === 0) {
    const features = commonRecord(attack.update, place);
    return [attack.step === 'gradient' ? readFeatures(features) : withNumbers(attack, place, units, features)];
  }
  return alone.map((shown) => {
    const first = shown[0];
    const features =
      attack.step === 'gradient'
        ? ratios(attack.update, place, shown)
        : Float64Array.from({ length: place.inputs }, (_, input) => (first?.inputs.has(input) === true ? 1 : 0));
    return attack.step === 'gradient' ? readFeatures(features) : withNumbers(attack, place, units, features);
  });
}

function firstLayer(layers: readonly number[]): LayerPlace {
  const [place] = layerPlaces(layers);
  if (place === undefined) {
    throw new RangeError('A network without layers');
  }
  return place;
}

/** An input that no record has, for which the unit is open, moves no weight: not by the last bit. */
function openUnits(update: ArrayLike<number>, place: LayerPlace): readonly OpenUnit[] {
  const units = Array.from({ length: place.outputs }, (_, unit) => unit);
  return units
    .filter((unit) => update[place.biases + unit] !== 0)
    .map((unit) => {
      const inputs = Array.from({ length: place.inputs }, (_, input) => input).filter(
        (input) => isCategory(input) && update[place.weights + input * place.outputs + unit] !== 0,
      );
      return { unit, inputs: new Set(inputs) };
    });
}

/**
 * Units that are open for one record alone, by record: their inputs make up one car (one fuel, one seller), and no other
 * unit's inputs that do are part of them.
 *
 * @returns a group of units for each record, the largest first.
 */
function loneRecords(units: readonly OpenUnit[]): readonly (readonly OpenUnit[])[] {
  const groups = new Map<string, OpenUnit[]>();
  for (const one of units.filter(({ inputs }) => isOneCar(inputs))) {
    const key = [...one.inputs].join();
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const all = [...groups.values()];
  const inputsOf = (group: readonly OpenUnit[]): ReadonlySet<number> => group[0]?.inputs ?? new Set();
  return all
    .filter((group) => !all.some((other) => other !== group && contains(inputsOf(group), inputsOf(other))))
    .sort((a, b) => b.length - a.length);
}

function isOneCar(inputs: ReadonlySet<number>): boolean {
  const count = (from: number, length: number): number =>
    [...inputs].filter((input) => input >= from && input < from + length).length;
  return count(PLACES.fuel, FUELS.length) === 1 && count(PLACES.seller, SELLERS.length) === 1;
}

function isCategory(input: number): boolean {
  return input !== PLACES.age && input !== PLACES.use && input !== PLACES.owner;
}

function contains(all: ReadonlySet<number>, part: ReadonlySet<number>): boolean {
  return [...part].every((input) => all.has(input));
}

/** x = ∂w / ∂b of the unit of the group whose bias moved most. */
function ratios(update: ArrayLike<number>, place: LayerPlace, group: readonly OpenUnit[]): Float64Array {
  const moved = ({ unit }: OpenUnit): number => update[place.biases + unit] ?? 0;
  const most = group.reduce((best, one) => (Math.abs(moved(one)) > Math.abs(moved(best)) ? one : best));
  return Float64Array.from(
    { length: place.inputs },
    (_, input) => (update[place.weights + input * place.outputs + most.unit] ?? 0) / moved(most),
  );
}

/** Least squares of all units' weights on their biases: x for a lone record, else a mixture. */
function commonRecord(update: ArrayLike<number>, place: LayerPlace): Float64Array {
  const { outputs, weights, biases } = place;
  let squares = 0;
  for (let unit = 0; unit < outputs; unit++) {
    squares += (update[biases + unit] ?? 0) ** 2;
  }
  return Float64Array.from({ length: place.inputs }, (_, input) => {
    let product = 0;
    for (let unit = 0; unit < outputs; unit++) {
      product += (update[weights + input * outputs + unit] ?? 0) * (update[biases + unit] ?? 0);
    }
    return squares === 0 ? 0 : product / squares;
  });
}

/** The record with its categories from `features` and its numbers from the units that are open for it. */
function withNumbers(
  { base, seed }: Inversion,
  place: LayerPlace,
  units: readonly OpenUnit[],
  features: Float64Array,
): CarGuess {
  const categories = [...features.keys()].filter((input) => isCategory(input) && (features[input] ?? 0) > 0.5);
  const open = units.filter(({ inputs }) => categories.every((category) => inputs.has(category)));
  const misfits = misfitCounter(base, place, categories, new Set(open.map(({ unit }) => unit)));
  const random = newRandom(seed);
  const left = bestDraws(misfits, BOX, random);
  const closer = bestDraws(misfits, boxAround(left), random);
  const [age, use, owner] = meanOf(closer);
  const guess = features.slice();
  guess[PLACES.age] = Math.round(10 * age) / 10;
  guess[PLACES.use] = use;
  guess[PLACES.owner] = owner;
  return readFeatures(guess);
}

/** How many units numbers put on the wrong side; counts on no further than past the limit. */
type Misfits = (numbers: Numbers, limit: number) => number;

function misfitCounter(
  base: Float32Array,
  { inputs, outputs, weights }: LayerPlace,
  categories: readonly number[],
  open: ReadonlySet<number>,
): Misfits {
  const rowOf = (input: number): Float32Array =>
    base.subarray(weights + input * outputs, weights + (input + 1) * outputs);
  const [ages, uses, owners] = [rowOf(PLACES.age), rowOf(PLACES.use), rowOf(PLACES.owner)];
  // Biases follow the weights: they are the row after the last input.
  const rows = [...categories, inputs].map(rowOf);
  const fixed = Float64Array.from({ length: outputs }, (_, unit) =>
    rows.reduce((sum, row) => sum + (row[unit] ?? 0), 0),
  );
  const isOpen = Array.from(fixed, (_, unit) => open.has(unit));
  return ([age, use, owner], limit) => {
    let count = 0;
    for (let unit = 0; unit < outputs && count <= limit; unit++) {
      const own = age * (ages[unit] ?? 0) + use * (uses[unit] ?? 0) + owner * (owners[unit] ?? 0);
      count += (fixed[unit] ?? 0) + own > 0 === isOpen[unit] ? 0 : 1;
    }
    return count;
  };
}

/** The draws with the fewest units on the wrong side. */
function bestDraws(misfits: Misfits, { age, use }: Box, random: Random): readonly Numbers[] {
  const within = ([low, high]: readonly [number, number]): number => low + (high - low) * random.uniform();
  let least = Infinity;
  let best: Numbers[] = [];
  for (let draw = 0; draw < DRAWS; draw++) {
    const numbers: Numbers = [within(age), within(use), random.below(OWNER_RANKS) / 2];
    const count = misfits(numbers, least);
    if (count < least) {
      least = count;
      best = [];
    }
    if (count === least) {
      best.push(numbers);
    }
  }
  return best;
}

function boxAround(draws: readonly Numbers[]): Box {
  const range = (values: readonly number[]): [number, number] => [Math.min(...values), Math.max(...values)];
  return { age: range(draws.map(([age]) => age)), use: range(draws.map(([, use]) => use)) };
}

function meanOf(draws: readonly Numbers[]): Numbers {
  const mean = (of: (numbers: Numbers) => number): number =>
    draws.reduce((sum, one) => sum + of(one), 0) / draws.length;
  return [mean(([age]) => age), mean(([, use]) => use), mean(([, , owner]) => owner)];
}
