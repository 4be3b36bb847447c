// SPDX-License-Identifier: Apache-2.0
import { deriveSeed, newRandom } from '../../random.js';
import { shuffle } from '../../training/train.js';

/**
 * Which vehicles of an exercise are hostile: as many as asked for, each equally likely, the same for the same seed.
 *
 * @returns indices below `vehicles`, ascending.
 */
export function hostileVehicles(seed: number, count: number, vehicles: number): readonly number[] {
  const order = Uint32Array.from({ length: vehicles }, (_, index) => index);
  shuffle(order, newRandom(deriveSeed(seed, 'hostile')));
  return [...order.subarray(0, count).sort()];
}
