// SPDX-License-Identifier: Apache-2.0
import { estimateNorm, median, referenceCosines, similarities } from '../evidence.js';
import { scaleToClip } from './norm-scaling.js';
import {
  checkShapes,
  needProjections,
  needReference,
  weightsOf,
  type Ruled,
  type WeightInput,
  type WeightRule,
} from './rule.js';
import type { TrustReason } from './trust.js';

/** From this cosine of accumulated projections on two vehicles count as saying the same. */
export const SIMILAR_FROM = 0.8;
/** An update up to so many times as long as the cohort's median is not scaled: honest ones differ, and estimates more. */
const NORM_TOLERANCE = 1.5;

export type CappedTrustReason = TrustReason | 'SIMILAR';

/**
 * The default. FLTrust with the trust capped at the cohort's median, so that knowing the reference direction gains nothing,
 * and shared among vehicles that say the same round after round:
 *
 *   t = min(1, max(0, cos(u, r)) / median of the cosines)
 *   s = min(1, 1.5 N_median / N)
 *   weight = ⌊a · t · s / (1 + similar vehicles)⌋, and no more than norm scaling gives
 */
export const cappedTrust: WeightRule<CappedTrustReason> = {
  name: 'capped-trust',
  needsReference: true,
  weigh(input) {
    checkShapes(input);
    needProjections('capped-trust', input);
    const cosines = referenceCosines(input.projections, needReference('capped-trust', input));
    const cap = median(cosines);
    const norms = input.projections.map(estimateNorm);
    const usual = NORM_TOLERANCE * median(norms);
    const alike = similarTo(input);
    return weightsOf(
      input.projections.map((values, i): Ruled<CappedTrustReason> => {
        const scaled = scaleToClip(values, input.classWeights[i] ?? 0, input);
        if (scaled.weight === 0) {
          return scaled;
        }
        const cosine = cosines[i] ?? 0;
        if (cosine <= 0) {
          return { weight: 0, reason: 'DIRECTION_OPPOSED' };
        }
        const trust = cosine >= cap ? 1 : cosine / cap;
        const length = Math.min(1, usual / (norms[i] ?? 0));
        const others = alike[i] ?? 0;
        const weight = Math.min(
          scaled.weight,
          Math.floor(((input.classWeights[i] ?? 0) * trust * length) / (1 + others)),
        );
        const why = others > 0 ? 'SIMILAR' : trust < 1 ? 'TRUST_LOW' : length < 1 ? 'NORM_SCALED' : undefined;
        return { weight, reason: why ?? scaled.reason };
      }),
    );
  },
};

/** How many others each vehicle is similar to. */
function similarTo({ projections, past = [] }: WeightInput): number[] {
  const count = projections.length;
  const cosines = similarities([...past, projections], count);
  return projections.map(
    (_, i) => cosines.subarray(i * count, (i + 1) * count).filter((cosine) => cosine >= SIMILAR_FROM).length,
  );
}
