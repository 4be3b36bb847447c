// SPDX-License-Identifier: Apache-2.0
import type { Attack } from './attack.js';

/** So many rounds behind. */
const ROUNDS = 5;

/** Trains from an old model and sends the difference to that one. */
export const staleModel: Attack = {
  name: 'stale-model',
  description: `trains from the model of ${String(ROUNDS)} rounds before`,
  knows: 'an old model',
  role: 'vehicle',
  update: ({ base, earlierBases, data, train }) => train(earlierBases.at(-ROUNDS) ?? earlierBases[0] ?? base, data),
};
