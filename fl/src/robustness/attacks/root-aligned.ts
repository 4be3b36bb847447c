// SPDX-License-Identifier: Apache-2.0
import { dot, norm } from '../../vectors.js';
import type { Attack, AttackContext } from './attack.js';
import { noise, plus, scale, withNorm } from './vectors.js';

/** Share of the reference direction beside the reverse of the honest mean. */
const SHARE = 0.5;
/** Of the update's norm. */
const HIDING_NOISE = 0.7;
/** Times the norm of an honest update: of 1 to 1.9, where the default rule mostly lets it count in full, what harms most. */
const LENGTH = 1.9;

/** All colluders send the same. */
export const rootAligned: Attack = {
  name: 'root-aligned',
  description: `sends half of the last reference direction plus the reverse of the mean update, ${String(LENGTH)} times as long; all colluders the same`,
  knows: 'the last reference direction; does not clip',
  role: 'vehicle',
  update: aligned,
};

/** The same, each with noise that hides how alike they are. */
export const rootAlignedNoisy: Attack = {
  name: 'root-aligned-noisy',
  description: `as root-aligned, each with independent noise of ${String(HIDING_NOISE)} times its norm, and no longer`,
  knows: 'the last reference direction; does not clip',
  role: 'vehicle',
  update(context) {
    const update = aligned(context);
    const hidden = plus(update, noise(update.length, HIDING_NOISE * norm(update), context.random));
    return withNorm(hidden, norm(update));
  },
};

/**
 * ½ r̂ − m̂ at {@link LENGTH} times the norm of an honest update, and as much more of r̂ as keeps the product with r positive.
 * The mean is that of the model's last change, which is public.
 */
function aligned({ base, earlierBases, lastDirection, colluders }: AttackContext): Float32Array {
  const updates = colluders();
  const length = (LENGTH * updates.reduce((sum, update) => sum + norm(update), 0)) / updates.length;
  const last = earlierBases.at(-1);
  const reverse = withNorm(last === undefined ? (updates[0] ?? base) : plus(base, last, -1), -1);
  if (lastDirection === undefined) {
    return withNorm(scale(reverse, -1), length);
  }
  const direction = withNorm(lastDirection, 1);
  const share = SHARE + Math.max(0, -dot(direction, reverse));
  return withNorm(plus(reverse, direction, share), length);
}
