// SPDX-License-Identifier: Apache-2.0
import { deriveSeed, newRandom } from '../../random.js';

/**
 * Which vehicles of an exercise are hostile: as many as asked for, each equally likely, the same for the same seed.
 *
 * @returns indices below `vehicles`, ascending.
 */
export function hostileVehicles(seed: number, count: number, vehicles: number): readonly number[] {
  const random = newRandom(deriveSeed(seed, 'hostile'));
  const order = Array.from({ length: vehicles }, (_, index) => index);
  for (let i = vehicles - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order.slice(0, count).sort((a, b) => a - b);
}
