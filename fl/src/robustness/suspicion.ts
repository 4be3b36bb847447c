// SPDX-License-Identifier: Apache-2.0
import { estimateNorm, median, referencePulls } from './evidence.js';
import { checkShapes, exceedsRange, needProjections, needReference, type WeightInput } from './weights/rule.js';

/**
 * Accumulated suspicion from which on the contract quarantines a vehicle of a fleet of {@link USUAL_FLEET}, in thousandths of a
 * natural logarithm.
 */
export const QUARANTINE_MILLI = 6_000;
const USUAL_FLEET = 20;
const LARGE_FLEET = 100;
/** Suspicion, a round's with what earlier ones left, from which on a vehicle counts nothing. */
export const DISTRUSTED_MILLI = 2_500;
/**
 * What a direction may add or take away in one round at the most: no single round decides. Where a larger fleet's threshold is
 * higher, it may add more in proportion.
 */
export const ROUND_LIMIT_MILLI = 5_000;

/**
 * The error model, calibrated on attack-free and attacked rounds (docs/robustness.md). An honest vehicle's cosine to the
 * reference direction is normal around the cohort's median, a hostile one's around −.05, both with this deviation, which
 * covers vehicles whose data are of one brand. Where the cohort's median is below `telling` a round says less in
 * proportion: honest vehicles with odd data then lean away round after round, and rounds are not independent. A cosine of
 * `innocent` or more never speaks against a vehicle, however much further the others go: those with a score of rows scatter
 * widely. Nor does it speak for one before it is nearer to the cohort's than to a hostile one's.
 */
const MODEL = { hostile: -0.05, deviation: 0.08, telling: 0.1, innocent: 0.03 } as const;
/**
 * Beyond so many times the cohort's median norm, or below such a part of it, a length is no accident: eight projections of an
 * honest update mislead so far with probability below 10^−6. It counts for just less than the threshold, that of a larger fleet
 * too: some further evidence is needed.
 */
const LENGTHS = { longest: 3, shortest: 0.1, milli: 5_900 } as const;

/**
 * How much more likely a vehicle's opened numbers of this round are if it is hostile than if it is honest, as a
 * log-likelihood ratio: positive speaks against it. With x its cosine to the reference, m the cohort's median, h and σ from the
 * error model:
 *
 *   ln(p(x | hostile) / p(x | honest)) = (h − m) · (x − (h + m) / 2) / σ²,  times min(1, m / .1)
 *
 * where x is below min(.03, (h + m) / 2) with that in place of (h + m) / 2, and 0 from there up to (h + m) / 2.
 *
 * A vehicle out of the ring's range, or whose update is three times as long as the cohort's or a tenth as long, gets 5,900, times
 * the task's threshold over {@link QUARANTINE_MILLI}.
 *
 * @returns milli-nats, one a vehicle in the order of the cohort; for a direction no less than −{@link ROUND_LIMIT_MILLI}, and no
 *   more than it times the same.
 * @throws SecureError SECURE_OPTION_INVALID as the rules.
 */
export function suspicionOf(input: WeightInput): Int32Array {
  checkShapes(input);
  needProjections('suspicion', input);
  const cosines = referencePulls(input.projections, needReference('suspicion', input));
  const usual = Math.max(0, median(cosines));
  const norms = input.projections.map(estimateNorm);
  const length = median(norms);
  const scale = scaleOf(input);
  return Int32Array.from(input.projections, (values, i) => {
    const norm = norms[i] ?? 0;
    const isOdd = norm > LENGTHS.longest * length || norm < LENGTHS.shortest * length;
    return isOdd || exceedsRange(values, input)
      ? Math.round(scale * LENGTHS.milli)
      : ratioMilli(cosines[i] ?? 0, usual, scale);
  });
}

/** Sums what rounds say; never below 0, so that good conduct cannot be saved up for an attack (Page's CUSUM, 1954). */
export function addSuspicion(accumulatedMilli: number, roundMilli: number): number {
  return Math.max(0, accumulatedMilli + roundMilli);
}

/**
 * The threshold of a fleet, `QUARANTINE_MILLI (n / 20)^¾` with n its vehicles, 20 for fewer and 100 for more. The more
 * vehicles share a market, the more chances there are to accuse somebody wrongly, and the fewer rows and the odder data each has:
 * what honest vehicles lean away by is then not chance but stays from round to round. Beyond a hundred nothing was measured that
 * would ask for more. It is written into a task once; nobody has to compute it again.
 */
export function quarantineMilliOf(vehicles: number): number {
  const counted = Math.min(LARGE_FLEET, Math.max(USUAL_FLEET, vehicles));
  const times = counted / USUAL_FLEET;
  return Math.round(QUARANTINE_MILLI * Math.sqrt(times * Math.sqrt(times)));
}

/** How much more a round may say where the task asks for more evidence, as large fleets do; other thresholds change nothing. */
function scaleOf({ quarantineMilli = QUARANTINE_MILLI }: WeightInput): number {
  const asked = Math.min(quarantineMilliOf(LARGE_FLEET), Math.max(QUARANTINE_MILLI, quarantineMilli));
  return asked / QUARANTINE_MILLI;
}

function ratioMilli(cosine: number, usual: number, scale: number): number {
  const { hostile, deviation, telling, innocent } = MODEL;
  const middle = (hostile + usual) / 2;
  const even = cosine < middle ? Math.max(cosine, Math.min(innocent, middle)) : middle;
  const likelihood = ((hostile - usual) * (cosine - even)) / (deviation * deviation);
  const ratio = likelihood * Math.min(1, usual / telling);
  return Math.max(-ROUND_LIMIT_MILLI, Math.min(Math.floor(scale * ROUND_LIMIT_MILLI), Math.round(1_000 * ratio)));
}
