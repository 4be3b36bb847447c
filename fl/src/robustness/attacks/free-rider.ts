// SPDX-License-Identifier: Apache-2.0
import { norm } from '../../vectors.js';
import type { Attack, AttackContext } from './attack.js';
import { noise, plus } from './vectors.js';

/** Nothing at all. */
export const freeRiderZero: Attack = {
  name: 'free-rider-zero',
  description: 'trains nothing and sends zeros',
  knows: 'nothing',
  role: 'vehicle',
  update: ({ base }) => new Float32Array(base.length),
};

/** What the others did in the round before. */
export const freeRiderReplay: Attack = {
  name: 'free-rider-replay',
  description: "trains nothing and sends the model's last change",
  knows: 'the last two models, which are public',
  role: 'vehicle',
  update: lastChange,
};

/** Noise that looks as long as an update. (Lin, Du and Liu, "Free-riders in federated learning", 2019) */
export const freeRiderNoise: Attack = {
  name: 'free-rider-noise',
  description: "trains nothing and sends noise as long as twice the model's last change",
  knows: 'the last two models, which are public',
  role: 'vehicle',
  update(context) {
    return noise(context.base.length, 2 * norm(lastChange(context)), context.random);
  },
};

/** Zeros in the first round. */
function lastChange({ base, earlierBases }: AttackContext): Float32Array {
  const before = earlierBases.at(-1);
  return before === undefined ? new Float32Array(base.length) : plus(base, before, -1);
}
