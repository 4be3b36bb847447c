// SPDX-License-Identifier: Apache-2.0
import { ModelError } from '../errors.js';
import { checkParameters } from '../models/dense.js';
import type { AggregationRule, WeightedUpdate } from './rule.js';

/** Up to this sum of weights a weight times a float32 and the sum of equal ones are exact in a double. */
const MAX_TOTAL_WEIGHT = 2 ** 29;

/**
 * Federated averaging (McMahan et al., "Communication-efficient learning of deep networks from decentralized data",
 * 2017, algorithm 1): Σ wᵢ·pᵢ / Σ wᵢ, summed in double precision in the order given, then rounded once to float32.
 */
export const fedAvg: AggregationRule = {
  name: 'fedavg',
  aggregate(base, updates) {
    const total = totalWeight(updates);
    const sums = new Float64Array(base.length);
    for (const { parameters, weight } of updates) {
      checkParameters(parameters, base.length);
      for (let i = 0; i < sums.length; i++) {
        sums[i] = (sums[i] as number) + weight * (parameters[i] as number);
      }
    }
    const average = new Float32Array(sums.length);
    for (let i = 0; i < sums.length; i++) {
      average[i] = (sums[i] as number) / total;
    }
    return average;
  },
};

function totalWeight(updates: readonly WeightedUpdate[]): number {
  if (updates.length === 0) {
    throw new ModelError('AGGREGATION_EMPTY', 'no update to aggregate');
  }
  let total = 0;
  for (const { weight } of updates) {
    if (!Number.isInteger(weight) || weight < 1) {
      throw new ModelError('AGGREGATION_WEIGHT', `${String(weight)} is not a whole number from 1 on`);
    }
    total += weight;
  }
  if (total > MAX_TOTAL_WEIGHT) {
    throw new ModelError(
      'AGGREGATION_WEIGHT',
      `the weights add up to ${String(total)}, more than ${String(MAX_TOTAL_WEIGHT)}`,
    );
  }
  return total;
}
