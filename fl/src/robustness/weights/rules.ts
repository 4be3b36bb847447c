// SPDX-License-Identifier: Apache-2.0
import { cappedTrust } from './capped-trust.js';
import { clustering } from './clustering.js';
import { multiKrum } from './multi-krum.js';
import { normScaling } from './norm-scaling.js';
import type { WeightRule } from './rule.js';
import { trust } from './trust.js';
import { uniform } from './uniform.js';

/** Rules by the name that a task gives. */
export const WEIGHT_RULES = {
  uniform,
  'norm-scaling': normScaling,
  trust,
  'capped-trust': cappedTrust,
  'multi-krum': multiKrum,
  clustering,
} as const satisfies Readonly<Record<string, WeightRule>>;
export type WeightRuleName = keyof typeof WEIGHT_RULES;

/** The rule of a task that names none and has a reference direction. */
export const DEFAULT_WEIGHT_RULE = 'capped-trust' as const satisfies WeightRuleName;
