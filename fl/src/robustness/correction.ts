// SPDX-License-Identifier: Apache-2.0
import { initialServerState, serverStep, type ServerOptimiser } from '../aggregation/server-optimiser.js';
import { decodeTotal, type FixedPoint } from '../secure/fixed-point.js';
import { RobustnessError } from './errors.js';

/** What an opened update added to a round's sum. */
export interface Contribution {
  /** Length d, units of 2^−f. */
  readonly update: Int32Array;
  /** Weight that it was counted with. */
  readonly weight: number;
}

/** The stored sum of a finalised round, and what is to be taken out of it. */
export interface CorrectedRound {
  /** Σ weight · update over the cohort, length d. */
  readonly total: Float64Array | Int32Array;
  /** Σ weight. */
  readonly weight: number;
  readonly removed: readonly Contribution[];
}

/**
 * The model that the rounds lead to without some vehicles' updates: each sum less what they added, over the weight that is
 * left, in the order of the rounds from a clean model on. What others trained from the models in between stays as it was, so
 * this is a candidate to be validated, not what the rounds would have been.
 *
 * @param base the last clean model, length d.
 * @param state of the server's optimiser at the base; its initial one where not given.
 * @returns length d, and the optimiser's state; the same bits for everybody.
 * @throws RobustnessError CORRECTION_EMPTY where nothing of a round is left; as `serverStep`.
 */
export function correctedModel(
  base: Float32Array,
  rounds: readonly CorrectedRound[],
  format: FixedPoint,
  server: ServerOptimiser,
  state = initialServerState(server, base.length),
): { readonly parameters: Float32Array; readonly state: Float32Array } {
  return rounds.reduce(
    (last, { total, weight, removed }) => {
      const left = weight - removed.reduce((sum, one) => sum + one.weight, 0);
      if (left <= 0) {
        throw new RobustnessError('CORRECTION_EMPTY', 'all that a round counted is to be taken out; roll it back');
      }
      const rest = Float64Array.from(total);
      for (const { update, weight: counted } of removed) {
        for (let i = 0; i < rest.length; i++) {
          rest[i] = (rest[i] as number) - counted * (update[i] ?? 0);
        }
      }
      const mean = decodeTotal(rest, left, format);
      const average = last.parameters.map((value, i) => value + (mean[i] as number));
      return serverStep(server, last.parameters, average, last.state);
    },
    { parameters: base, state },
  );
}
