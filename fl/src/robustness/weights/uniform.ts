// SPDX-License-Identifier: Apache-2.0
import { checkShapes, exceedsRange, type WeightRule } from './rule.js';

/** Every vehicle counts with its class, but for those that wrap the ring, where projections are opened at all. */
export const uniform: WeightRule<'RANGE_EXCEEDED'> = {
  name: 'uniform',
  needsReference: false,
  weigh(input) {
    checkShapes(input);
    const out = input.projections.map((values) => exceedsRange(values, input));
    return {
      weights: input.classWeights.map((weight, vehicle) => (out[vehicle] === true ? 0 : weight)),
      reasons: out.map((exceeds) => (exceeds ? 'RANGE_EXCEEDED' : undefined)),
    };
  },
};
