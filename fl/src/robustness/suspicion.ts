// SPDX-License-Identifier: Apache-2.0
import { estimateNorm, median, referenceCosines } from './evidence.js';
import { checkShapes, exceedsRange, needProjections, needReference, type WeightInput } from './weights/rule.js';

/** Accumulated suspicion from which on the contract quarantines a vehicle, in thousandths of a natural logarithm. */
export const QUARANTINE_MILLI = 8_000;
/** What one round may add or take away at the most: no single odd round decides. */
const ROUND_LIMIT_MILLI = 4_000;

/**
 * Where honest and hostile cosines to the reference lie relative to the cohort's median cosine, and their deviation:
 * measured, see docs/robustness.md.
 */
const MODEL = { honest: 1, hostile: -0.25, deviation: 0.6 } as const;
/** Beyond so many times the cohort's median norm a length is no accident. */
const LENGTH_LIMIT = 4;

/**
 * How much more likely a vehicle's opened numbers of this round are if it is hostile than if it is honest, as a
 * log-likelihood ratio: positive speaks against it. Two Gaussians of one deviation over x = cos(u, r) / median cosine:
 *
 *   ln(p(x | hostile) / p(x | honest)) = (h − m) · (x − (h + m) / 2) / σ²
 *
 * A vehicle out of the ring's range, or far longer than the cohort, gets the most that a round can add.
 *
 * @returns milli-nats, one a vehicle in the order of the cohort.
 * @throws SecureError SECURE_OPTION_INVALID as the rules.
 */
export function suspicionOf(input: WeightInput): Int32Array {
  checkShapes(input);
  needProjections('suspicion', input);
  const cosines = referenceCosines(input.projections, needReference('suspicion', input));
  const usual = median(cosines);
  const norms = input.projections.map(estimateNorm);
  const long = LENGTH_LIMIT * median(norms);
  return Int32Array.from(input.projections, (values, i) => {
    if (exceedsRange(values, input) || (norms[i] ?? 0) > long) {
      return ROUND_LIMIT_MILLI;
    }
    // Where the median itself is not positive the reference says nothing.
    return usual > 0 ? ratioMilli((cosines[i] ?? 0) / usual) : 0;
  });
}

/** Sums what rounds say; never below 0, so that good conduct cannot be saved up for an attack (Page's CUSUM, 1954). */
export function addSuspicion(accumulatedMilli: number, roundMilli: number): number {
  return Math.max(0, accumulatedMilli + roundMilli);
}

function ratioMilli(relative: number): number {
  const { honest, hostile, deviation } = MODEL;
  const middle = (honest + hostile) / 2;
  const ratio = ((hostile - honest) * (relative - middle)) / (deviation * deviation);
  return Math.max(-ROUND_LIMIT_MILLI, Math.min(ROUND_LIMIT_MILLI, Math.round(1_000 * ratio)));
}
