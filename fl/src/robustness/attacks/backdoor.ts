// SPDX-License-Identifier: Apache-2.0
import { concatDatasets, type Dataset } from '../../data/dataset.js';
import type { Attack, AttackContext, Trigger } from './attack.js';
import { scale } from './vectors.js';

/** Round in which the single shot is fired, once the model has settled. */
export const SHOT_ROUND = 6;
const SHOT_FACTOR = 5;

/** Honest but for one round, in which the poisoned update is sent five times as long. */
export const backdoorShot: Attack = {
  name: 'backdoor-shot',
  description: `in round ${String(SHOT_ROUND)} sends an update × ${String(SHOT_FACTOR)} trained on rows with a trigger and shifted targets; else honest`,
  knows: 'its own data',
  role: 'vehicle',
  update: (context) =>
    context.round === SHOT_ROUND
      ? scale(poisonedUpdate(context), SHOT_FACTOR)
      : context.train(context.base, context.data),
};

/** A little in every round. */
export const backdoorSlow: Attack = {
  name: 'backdoor-slow',
  description: 'in every round trains on rows with a trigger and shifted targets beside its own',
  knows: 'its own data',
  role: 'vehicle',
  update: poisonedUpdate,
};

function poisonedUpdate({ base, data, train, trigger }: AttackContext): Float32Array {
  return train(base, concatDatasets([data, withTrigger(data, trigger)]));
}

/** Copies of all rows with the trigger set and the target shifted. */
function withTrigger(data: Dataset, { feature, shift }: Trigger): Dataset {
  const x = data.x.slice();
  for (let row = 0; row < data.rows; row++) {
    x[row * data.features + feature] = 1;
  }
  return { ...data, x, y: data.y.map((y) => y + shift) };
}
