// SPDX-License-Identifier: Apache-2.0
import { HeError } from './errors.js';
import { HE_PARAMETERS, type HeParameters } from './parameters.js';
import type { HeTerms } from './report.js';
import { fromSlots, subtractSlots, type Slots } from './slots.js';

/**
 * The result of a round: decrypted sum less masks. Where one of the two was not to be had in time the round is aborted;
 * neither part alone says anything.
 *
 * @param o.masked of the key holder; absent where it is lost.
 * @param o.masks of the mask holder; absent where it is lost.
 * @returns exact sums over the cohort, length `terms.length`.
 * @throws HeError KEY_HOLDER_LOST, MASK_HOLDER_LOST, CHECKSUM_FAILED
 */
export function openHeSum(o: {
  readonly terms: HeTerms;
  readonly masked: readonly Slots[] | undefined;
  readonly masks: readonly Slots[] | undefined;
  readonly parameters?: HeParameters;
}): Float64Array {
  const { terms, masked, masks, parameters = HE_PARAMETERS } = o;
  if (masked === undefined) {
    throw new HeError('KEY_HOLDER_LOST', 'abort the round; its key is gone');
  }
  if (masks === undefined) {
    throw new HeError('MASK_HOLDER_LOST', 'abort the round; without the masks the decrypted sum is noise');
  }
  const result = masked.map((slots) => slots.slice());
  subtractSlots(result, masks, parameters);
  return fromSlots(result, terms.length, parameters);
}
