// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../../data/dataset.js';
import type { Attack } from './attack.js';

/** Targets are mirrored at their mean: the dearest car becomes the cheapest. */
export const labelFlip: Attack = {
  name: 'label-flip',
  description: 'trains on targets mirrored at their mean',
  knows: 'its own data',
  role: 'vehicle',
  update: ({ base, data, train }) => train(base, mirrored(data)),
};

/** y ← 2 ȳ − y */
function mirrored(data: Dataset): Dataset {
  const middle = data.y.reduce((sum, y) => sum + y, 0) / data.rows;
  return { ...data, y: data.y.map((y) => 2 * middle - y) };
}
