// SPDX-License-Identifier: Apache-2.0
import {
  deriveSeed,
  encodeCars,
  initialParameters,
  PRICE_LAYERS,
  PRICE_TRAINING,
  trainLocal,
  type CarRow,
} from '@sev/fl';
import { dot } from '../least-squares.js';
import { DEFAULT_FORMAT, roundVectors, shareUpdate } from './views.js';

/** How often the projections of one round show which car is the last record of a vehicle. */
export interface Confirmation {
  readonly records: number;
  readonly candidates: number;
  readonly vehicles: number;
  readonly named: number;
}

/**
 * The attacker of differential privacy against opened projections: it knows all records of a vehicle but one, candidates
 * for that one, and the seed of the training, which follows from the task. It trains with each and compares.
 *
 * @param rows records of the vehicles, one vehicle after the other.
 * @param others candidates beside the true record.
 */
export function confirmLastRecord(
  rows: readonly CarRow[],
  others: readonly CarRow[],
  { records, seed }: { readonly records: number; readonly seed: number },
): Confirmation {
  const base = initialParameters(PRICE_LAYERS, seed);
  const vectors = roundVectors(base.length, seed);
  const updateOf = (own: readonly CarRow[], vehicle: number): Float32Array => {
    const options = { ...PRICE_TRAINING, seed: deriveSeed(seed, vehicle) };
    return trainLocal(base, PRICE_LAYERS, encodeCars(own), options).map((value, i) => value - (base[i] ?? 0));
  };
  const vehicles = Math.floor(rows.length / records);
  const named = Array.from({ length: vehicles }, (_, vehicle) => {
    const own = rows.slice(vehicle * records, (vehicle + 1) * records);
    const { projections } = shareUpdate(updateOf(own, vehicle), vectors, deriveSeed(seed, 'sharing', vehicle));
    const [truth = Infinity, ...distances] = [...own.slice(-1), ...others].map((last) => {
      const update = updateOf([...own.slice(0, -1), last], vehicle);
      return vectors.reduce((sum, v, k) => sum + (scaled(dot(update, v)) - (projections[k] ?? 0)) ** 2, 0);
    });
    return distances.every((distance) => distance > truth);
  }).filter((isNamed) => isNamed).length;
  return { records, candidates: others.length + 1, vehicles, named };
}

function scaled(value: number): number {
  return value * 2 ** DEFAULT_FORMAT.fractionBits;
}
