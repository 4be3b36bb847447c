// SPDX-License-Identifier: Apache-2.0
import { norm } from '../../vectors.js';
import type { Attack } from './attack.js';
import { noise, scale } from './vectors.js';

const SIGN_FLIP = -10;
const SCALING = 20;
/** Noise so many times as long as the honest update. */
const GAUSSIAN = 5;

/** The honest update reversed and lengthened. */
export const signFlip: Attack = {
  name: 'sign-flip',
  description: `sends its honest update × ${String(SIGN_FLIP)}`,
  knows: 'its own data',
  role: 'vehicle',
  update: ({ base, data, train }) => scale(train(base, data), SIGN_FLIP),
};

/** The honest update lengthened. */
export const scaling: Attack = {
  name: 'scaling',
  description: `sends its honest update × ${String(SCALING)}`,
  knows: 'its own data',
  role: 'vehicle',
  update: ({ base, data, train }) => scale(train(base, data), SCALING),
};

/** Noise in place of an update. */
export const gaussian: Attack = {
  name: 'gaussian',
  description: `sends Gaussian noise ${String(GAUSSIAN)} times as long as its honest update`,
  knows: 'its own data',
  role: 'vehicle',
  update: ({ base, data, train, random }) => noise(base.length, GAUSSIAN * norm(train(base, data)), random),
};
