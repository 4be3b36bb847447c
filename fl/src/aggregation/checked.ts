// SPDX-License-Identifier: Apache-2.0
import { ModelError } from '../errors.js';
import { checkParameters } from '../models/dense.js';
import type { WeightedUpdate } from './rule.js';

/** @throws ModelError AGGREGATION_EMPTY, MODEL_LENGTH, MODEL_NOT_FINITE */
export function checkUpdates(base: Float32Array, updates: readonly WeightedUpdate[]): void {
  if (updates.length === 0) {
    throw new ModelError('AGGREGATION_EMPTY', 'no update to aggregate');
  }
  updates.forEach(({ parameters }) => {
    checkParameters(parameters, base.length);
  });
}
