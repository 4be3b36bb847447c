// SPDX-License-Identifier: Apache-2.0
import { comparePairs, estimateNorm, median } from '../evidence.js';
import { DISTRUSTED_MILLI, suspicionOf } from '../suspicion.js';
import { scaleToClip } from './norm-scaling.js';
import { checkShapes, type Ruled, type WeightInput, type WeightRule, weightsOf } from './rule.js';
import type { TrustReason } from './trust.js';

/**
 * Two vehicles say the same where the cosine of their accumulated projections over t rounds is at least .35 + .6 / √t:
 * chance makes 8 numbers alike more easily than 80. Honest vehicles' highest was .92 after one round, .54 after five, .35
 * after ten; two updates with independent noise of .7 times their length have .67. Among a thousand vehicles chance finds such
 * pairs: beyond 128 the .6 is .76, and .98 is always enough, so that about one honest vehicle in a thousand has a pair.
 */
const SIMILAR = { always: 0.35, first: 0.6, firstOfMany: 0.76, many: 128, enough: 0.98 } as const;
/**
 * An update up to so many times as long as the cohort's median is not scaled: honest ones differ, and estimates more. Few are
 * scaled alike, so that evening out takes the round from most who are.
 */
const NORM_TOLERANCE = 2;
/** Suspicion, this round's with what earlier ones left, up to which a vehicle counts in full. */
const TRUSTED_MILLI = 1_000;

export type CappedTrustReason = TrustReason | 'SIMILAR';

/**
 * The default. Trust in the reference direction as FLTrust has it, but capped, so that knowing the direction gains nothing;
 * remembered, because the direction tells less and less as a model converges; and shared among vehicles that say the same
 * round after round:
 *
 *   S = suspicion of earlier rounds + of this one
 *   t = 1 up to S = 1,000, falling to 0 at 2,500
 *   s = min(1, 2 N_median / N)
 *   weight = ⌊a · t · s / (1 + similar vehicles)⌋, and no more than norm scaling gives
 */
export const cappedTrust: WeightRule<CappedTrustReason> = {
  name: 'capped-trust',
  needsReference: true,
  weigh(input) {
    checkShapes(input);
    const suspicion = suspicionOf(input);
    const norms = input.projections.map(estimateNorm);
    const usual = NORM_TOLERANCE * median(norms);
    const alike = similarTo(input);
    return weightsOf(
      input.projections.map((values, i): Ruled<CappedTrustReason> => {
        const scaled = scaleToClip(values, input.classWeights[i] ?? 0, input);
        if (scaled.weight === 0) {
          return scaled;
        }
        const now = suspicion[i] ?? 0;
        const trust = trustOf((input.standing?.[i]?.suspicionMilli ?? 0) + now);
        if (trust === 0) {
          return { weight: 0, reason: 'DIRECTION_OPPOSED' };
        }
        const norm = norms[i] ?? 0;
        const length = norm > usual ? usual / norm : 1;
        const others = alike[i] ?? 0;
        const weight = Math.floor(((input.classWeights[i] ?? 0) * trust * length) / (1 + others));
        const why = others > 0 ? 'SIMILAR' : trust < 1 ? 'TRUST_LOW' : length < 1 ? 'NORM_SCALED' : scaled.reason;
        return { weight: Math.min(scaled.weight, weight), reason: why };
      }),
    );
  },
};

function trustOf(suspicionMilli: number): number {
  const share = (DISTRUSTED_MILLI - suspicionMilli) / (DISTRUSTED_MILLI - TRUSTED_MILLI);
  return Math.max(0, Math.min(1, share));
}

/** How many others each vehicle is similar to. */
function similarTo({ projections, past = [] }: WeightInput): number[] {
  const count = projections.length;
  const first = count > SIMILAR.many ? SIMILAR.firstOfMany : SIMILAR.first;
  const others = new Array<number>(count).fill(0);
  comparePairs([...past, projections], count, (i, j, cosine, rounds) => {
    if (rounds > 0 && cosine >= Math.min(SIMILAR.enough, SIMILAR.always + first / Math.sqrt(rounds))) {
      others[i] = (others[i] ?? 0) + 1;
      others[j] = (others[j] ?? 0) + 1;
    }
  });
  return others;
}
