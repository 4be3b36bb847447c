// SPDX-License-Identifier: Apache-2.0
import {
  initialServerState,
  serverStep,
  type ServerOptimiser,
  type ServerState,
} from '../aggregation/server-optimiser.js';
import type { FixedPoint } from '../secure/fixed-point.js';
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

/** A model, and what the server's optimiser remembers. */
export interface ServerPoint {
  /** Length d. */
  readonly parameters: Float32Array;
  readonly state: ServerState;
}

/**
 * Where a round takes the model without some vehicles' updates: its sum less what they added, over the weight that is left. In
 * double precision, rounded once, as the round itself was: with nothing removed it is the round's own model, bit for bit.
 *
 * @throws RobustnessError CORRECTION_EMPTY where nothing of the round is left; as `serverStep`.
 */
export function correctedRound(
  before: ServerPoint,
  { total, weight, removed }: CorrectedRound,
  { fractionBits }: Pick<FixedPoint, 'fractionBits'>,
  server: ServerOptimiser,
): ServerPoint {
  const left = weight - removed.reduce((sum, one) => sum + one.weight, 0);
  if (left <= 0) {
    throw new RobustnessError('CORRECTION_EMPTY', 'all that a round counted is to be taken out; roll it back');
  }
  const divisor = left * 2 ** fractionBits;
  const average = before.parameters.map((value, i) => {
    const own = removed.reduce((sum, one) => sum + one.weight * (one.update[i] ?? 0), 0);
    return value + ((total[i] as number) - own) / divisor;
  });
  return serverStep(server, before.parameters, average, before.state);
}

/**
 * The model that the rounds lead to without some vehicles' updates, in the order of the rounds from a clean model on. What
 * others trained from the models in between stays as it was, so this is a candidate to be validated, not what the rounds would
 * have been.
 *
 * @param base the last clean model, length d.
 * @param state of the server's optimiser at the base; its initial one where not given.
 * @returns length d, and the optimiser's state; the same bits for everybody.
 * @throws as {@link correctedRound}.
 */
export function correctedModel(
  base: Float32Array,
  rounds: readonly CorrectedRound[],
  format: FixedPoint,
  server: ServerOptimiser,
  state = initialServerState(server, base.length),
): ServerPoint {
  return rounds.reduce<ServerPoint>((last, round) => correctedRound(last, round, format, server), {
    parameters: base,
    state,
  });
}
