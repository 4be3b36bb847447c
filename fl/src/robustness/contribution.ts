// SPDX-License-Identifier: Apache-2.0
import { median } from './evidence.js';
import { checkShapes, needReference, type WeightInput } from './weights/rule.js';

const MILLION = 1_000_000;
/** Nobody contributes more than so many times the cohort's median contribution above nothing. */
const MOST_OF_MEDIAN = 2;

/**
 * What each vehicle added to the round's model along the reference direction: to first order its Shapley value in the game of
 * how far the model moves towards what the validators want, because that game is additive.
 *
 *   weight · ⟨u, r⟩ / (2^f · ‖r‖ · Σ weights)
 *
 * At most twice the cohort's (lower) median of those above nothing: whoever knows a validator's direction could otherwise
 * send just that, as long as the rule accepts, and take most of what a round pays.
 *
 * @param weights as they were used, evened out.
 * @returns millionths, one a vehicle in the order of the cohort; negative where it pulled the other way; all 0 where nobody
 *   counted.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function contributionOf(input: WeightInput, weights: readonly number[]): Int32Array {
  checkShapes(input);
  const { products, norm } = needReference('contribution', input);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const unit = 2 ** input.format.fractionBits * norm * total;
  const scores = Int32Array.from(products, (product, i) =>
    total === 0 ? 0 : Math.round((MILLION * (weights[i] ?? 0) * product) / unit),
  );
  const most = MOST_OF_MEDIAN * median([...scores].filter((score) => score > 0));
  return scores.map((score) => Math.min(score, most));
}
