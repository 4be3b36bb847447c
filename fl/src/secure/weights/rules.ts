// SPDX-License-Identifier: Apache-2.0
import { normScaling } from './norm-scaling.js';
import type { WeightRule } from './rule.js';
import { uniform } from './uniform.js';

/** Rules by the name that a task gives. */
export const WEIGHT_RULES = {
  uniform,
  'norm-scaling': normScaling,
} as const satisfies Readonly<Record<string, WeightRule>>;
