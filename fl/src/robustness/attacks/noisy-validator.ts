// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../../data/dataset.js';
import type { Random } from '../../random.js';
import type { Attack } from './attack.js';

/** Deviation of the noise on the target's scale; a price's logarithm has a deviation of about .8. */
export const VALIDATION_NOISE = 1;

/** A validator whose targets are wrong: its loss and its direction are. */
export const noisyValidator: Attack = {
  name: 'noisy-validator',
  description: `one validator's targets carry noise of deviation ${String(VALIDATION_NOISE)}`,
  knows: 'its own data',
  role: 'validator',
  update: ({ base, data, train, sharedRandom }) => train(base, withNoise(data, VALIDATION_NOISE, sharedRandom())),
};

/** y ← y + deviation · z, z normal */
export function withNoise(data: Dataset, deviation: number, random: Random): Dataset {
  return { ...data, y: data.y.map((y) => y + deviation * random.normal()) };
}
