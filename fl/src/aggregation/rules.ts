// SPDX-License-Identifier: Apache-2.0
import { fedAvg } from './fedavg.js';
import { geometricMedian } from './geometric-median.js';
import type { AggregationRule } from './rule.js';
import { coordinateMedian, trimmedMean } from './trimmed-mean.js';

/** Rules by name, for where updates are visible: mode `plain`, and comparison. */
export const AGGREGATION_RULES = {
  fedavg: fedAvg,
  median: coordinateMedian,
  'trimmed-mean': trimmedMean,
  'geometric-median': geometricMedian,
} as const satisfies Readonly<Record<string, AggregationRule>>;
export type AggregationRuleName = keyof typeof AGGREGATION_RULES;
