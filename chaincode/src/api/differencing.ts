// SPDX-License-Identifier: Apache-2.0

/** Attempts on one base model, of whatever rounds, whose sums may be shown: of two the difference is known to be wide, of three it is not. */
export const MAX_SHOWN_ATTEMPTS = 2;

/** The vehicles of a sum with the integer weights that their reports have in it. */
export type WeightedCohort = ReadonlyMap<string, number>;

/**
 * Vehicles that remain at the least where a multiple of one sum is subtracted from a multiple of the other. One multiple
 * takes out the vehicles whose weights stand in its ratio; the one that takes out most leaves least.
 */
export function fewestRemaining(a: WeightedCohort, b: WeightedCohort): number {
  const sizes = new Map<string, number>();
  let vehicles = 0;
  for (const vehicleId of new Set([...a.keys(), ...b.keys()])) {
    const [first, second] = [a.get(vehicleId) ?? 0, b.get(vehicleId) ?? 0];
    const divisor = greatestCommonDivisor(first, second);
    if (divisor > 0) {
      const ratio = `${first / divisor}:${second / divisor}`;
      sizes.set(ratio, (sizes.get(ratio) ?? 0) + 1);
      vehicles += 1;
    }
  }
  return vehicles - Math.max(0, ...sizes.values());
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
