// SPDX-License-Identifier: Apache-2.0
import { norm } from '../../vectors.js';
import type { Attack } from './attack.js';
import { mean, noise, plus, scale } from './vectors.js';

/** What a pair hides behind is so many times as long as the update. */
const PAIR_NOISE = 2;

/** One car's update under many names: for the reward, and for the weight. */
export const sybil: Attack = {
  name: 'sybil',
  description: "all colluders send the first one's honest update",
  knows: 'the honest update of the first colluder',
  role: 'vehicle',
  update: ({ colluders, base }) => scale(colluders()[0] ?? base, 1),
};

/**
 * Two and two send p + v and p − v: apart they look like noise, together they are 2 p, the reverse of their mean. Of an odd
 * number the last sends p.
 */
export const colludingPair: Attack = {
  name: 'colluding-pair',
  description: `two and two send the reverse of their mean plus and minus noise ${String(PAIR_NOISE)} times as long, which cancels`,
  knows: 'the honest updates of all colluders, shared randomness',
  role: 'vehicle',
  update({ colluders, place, sharedRandom }) {
    const reverse = scale(mean(colluders()), -1);
    const random = sharedRandom();
    const pair = place >> 1;
    let cover: Float32Array = reverse;
    for (let i = 0; i <= pair; i++) {
      cover = noise(reverse.length, PAIR_NOISE * norm(reverse), random);
    }
    const isAlone = place % 2 === 0 && place === colluders().length - 1;
    return isAlone ? reverse : plus(reverse, cover, place % 2 === 0 ? 1 : -1);
  },
};
