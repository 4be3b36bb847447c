// SPDX-License-Identifier: Apache-2.0
import { DISTRUSTED_MILLI, suspicionOf } from '../suspicion.js';
import { normScaling } from './norm-scaling.js';
import type { Ruled, WeightInput, WeightReason, WeightRule } from './rule.js';
import { weightsOf } from './rule.js';

/** What is asked of weights before sums may be shown. */
export interface SumTerms {
  /** Indices into the cohort, by sum. */
  readonly shards: readonly (readonly number[])[];
  /** So many of each sum have to count. */
  readonly minimum: number;
  /** Lowers weights such that nobody stands apart; see `evenOut`. One a vehicle, in the same order. */
  readonly even: (ruled: readonly number[]) => readonly number[];
}

/** Weights as they are used. */
export interface Decided {
  readonly weights: readonly number[];
  /** Of the rule, or of what took its place; evening out gives none. */
  readonly reasons: readonly (WeightReason | undefined)[];
  /** Whether too few were left by the rule, so that lengths alone were bounded. */
  readonly isLengthsOnly: boolean;
}

/**
 * Weights by a rule, evened out. Where a rule that trusts a reference leaves too few of a sum for it to be shown, because the
 * cohort is small or most of it departs from the reference, lengths alone are bounded (`norm-scaling`). Even then whoever is out of
 * range, or {@link DISTRUSTED_MILLI} suspected, counts nothing; only where too few are left without them do the least suspected
 * come back, as many as it takes. What remains may still be too few, and is then not shown.
 *
 * @throws SecureError SECURE_OPTION_INVALID as the rules.
 */
export function decideWeights(rule: WeightRule, input: WeightInput, terms: SumTerms): Decided {
  const { weights, reasons } = rule.weigh(input);
  const evened = terms.even(weights);
  if (!rule.needsReference || isEnough(evened, terms)) {
    return { weights: evened, reasons, isLengthsOnly: false };
  }
  const bounded = boundedWeights(input, terms);
  return { weights: terms.even(bounded.weights), reasons: bounded.reasons, isLengthsOnly: true };
}

function isEnough(weights: readonly number[], { shards, minimum }: SumTerms): boolean {
  return shards.every((shard) => shard.filter((index) => (weights[index] ?? 0) > 0).length >= minimum);
}

function boundedWeights(input: WeightInput, { shards, minimum }: SumTerms) {
  const { weights, reasons } = normScaling.weigh(input);
  const suspected = suspicionOf(input).map((now, i) => now + (input.standing?.[i]?.suspicionMilli ?? 0));
  const out = new Set(
    shards.flatMap((shard) => {
      // Evening out needs so many with the weight of their class.
      const full = shard.filter((index) => weights[index] === input.classWeights[index]);
      const isDistrusted = (index: number): boolean => (suspected[index] ?? 0) >= DISTRUSTED_MILLI;
      const lacking = Math.max(0, minimum - full.filter((index) => !isDistrusted(index)).length);
      const back = full
        .filter(isDistrusted)
        .sort((a, b) => (suspected[a] ?? 0) - (suspected[b] ?? 0) || a - b)
        .slice(0, lacking);
      return shard.filter((index) => isDistrusted(index) && !back.includes(index));
    }),
  );
  return weightsOf(
    weights.map((weight, index): Ruled => {
      const isOut = weight > 0 && out.has(index);
      return isOut ? { weight: 0, reason: 'DISTRUSTED' } : { weight, reason: reasons[index] };
    }),
  );
}
