// SPDX-License-Identifier: Apache-2.0
import { estimateNorm, median, referenceCosines } from '../evidence.js';
import { scaleToClip, type NormReason } from './norm-scaling.js';
import { checkShapes, needProjections, needReference, weightsOf, type Ruled, type WeightRule } from './rule.js';

export type TrustReason = NormReason | 'DIRECTION_OPPOSED' | 'TRUST_LOW';

/** So many of the cohort count in full: as many as evening out asks for (see `evenOut`). */
const FULL_SHARE = 3;

/**
 * FLTrust (Cao, Fang, Liu and Gong, 2021, equations 2 to 4): an update counts in proportion to ReLU(cos(u, r)), scaled to a
 * common norm. The norm is the cohort's median, since the reference is a direction only, and the highest third of
 * trust times scale counts in full:
 *
 *   s = max(0, cos) · min(1, N_median / N)
 *   weight = ⌊a · min(1, s / s_third)⌋
 */
export const trust: WeightRule<TrustReason> = {
  name: 'trust',
  needsReference: true,
  weigh(input) {
    checkShapes(input);
    needProjections('trust', input);
    const cosines = referenceCosines(input.projections, needReference('trust', input));
    const norms = input.projections.map(estimateNorm);
    const usual = median(norms);
    const scores = cosines.map((cosine, i) => {
      const norm = norms[i] ?? 0;
      return norm === 0 ? 0 : Math.max(0, cosine) * Math.min(1, usual / norm);
    });
    const sorted = [...scores].sort((a, b) => b - a);
    const full = sorted[Math.ceil(sorted.length / FULL_SHARE) - 1] ?? 0;
    return weightsOf(
      scores.map((score, vehicle): Ruled<TrustReason> => {
        const scaled = scaleToClip(
          input.projections[vehicle] ?? new Int32Array(),
          input.classWeights[vehicle] ?? 0,
          input,
        );
        if (scaled.weight === 0) {
          return scaled;
        }
        if (score <= 0) {
          return { weight: 0, reason: 'DIRECTION_OPPOSED' };
        }
        if (score >= full) {
          return scaled;
        }
        return { weight: Math.floor((scaled.weight * score) / full), reason: scaled.reason ?? 'TRUST_LOW' };
      }),
    );
  },
};
