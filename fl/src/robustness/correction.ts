// SPDX-License-Identifier: Apache-2.0
import { serverStep, type ServerOptimiser, type ServerState } from '../aggregation/server-optimiser.js';
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
