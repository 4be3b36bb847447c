// SPDX-License-Identifier: Apache-2.0
import type { Attack } from './attack.js';
import { deviations, mean, plus } from './vectors.js';

/** z: so many deviations from the mean, within what honest vehicles differ by. */
const DEVIATIONS = 1.5;

/**
 * "A little is enough" (Baruch, Baruch and Goldberg, 2019, algorithm 3): all colluders send μ − z σ, mean and deviation of
 * each coordinate estimated from their own honest updates.
 */
export const alie: Attack = {
  name: 'alie',
  description: `sends the colluders' mean less ${String(DEVIATIONS)} of their deviations, coordinate by coordinate`,
  knows: 'the honest updates of all colluders',
  role: 'vehicle',
  update: ({ colluders }) => plus(mean(colluders()), deviations(colluders()), -DEVIATIONS),
};
