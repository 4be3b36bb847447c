// SPDX-License-Identifier: Apache-2.0
import { deriveSeed, newRandom, trainLocal } from '@sev/fl';
import { trainingOf } from '../../services/model-spec.js';
import type { SecureBed } from '../../testing/secure-bed.js';
import { validationDataOf } from '../../testing/secure-bed-consortium.js';

/** Mean change of a coordinate, and how far vehicles differ in it, in units of 2^−f: small, so that sums stay exact. */
const STEP = 16;
const DIFFERENCE = 24;

/**
 * Has the bed's vehicles learn from rows like the validators', each with a mind of its own; the hostile ones do the opposite.
 *
 * @param hostile indices of vehicles.
 */
export function haveThemLearn(bed: SecureBed, hostile: ReadonlySet<number> = new Set()): void {
  const [mspId = ''] = bed.task.secure?.validation?.validators ?? [];
  const like = validationDataOf(bed.task, mspId);
  const { layers } = bed.task.model;
  bed.fleet.learns = (index, base) => {
    const trained = like === undefined ? base : trainLocal(base, layers, like.data, trainingOf(bed.task, index));
    const random = newRandom(deriveSeed(index, String(base[0])));
    const side = hostile.has(index) ? -1 : 1;
    return Int32Array.from(base, (value, i) => {
      const own = random.below(2 * DIFFERENCE + 1) - DIFFERENCE;
      return side * STEP * Math.sign((trained[i] ?? 0) - value) + own;
    });
  };
}
