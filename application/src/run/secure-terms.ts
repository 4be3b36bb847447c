// SPDX-License-Identifier: Apache-2.0
import { sumSensitivity, type PrivacyMode, type SecureTerms, type Task } from '@sev/chaincode/api';
import { epsilonOf } from '@sev/fl';
import type { ConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';

/** The organisation that audits: whoever audits the aggregation is not part of it. */
export const AUDITOR_ORG = 'regulator';
/** A sum of fewer vehicles would say too much about each. */
export const LEAST_SECURE_COHORT = 3;
/** What a task in mode dp promises unless told otherwise. */
export const DEFAULT_EPSILON = 8;
export const DELTA_EXPONENT = 5;

/** MSP ids of the organisations that aggregate unless told otherwise: all but the one that audits. */
export function defaultAggregators({ organisations }: ConnectionProfile): string[] {
  return organisations.filter(({ name }) => name !== AUDITOR_ORG).map(({ mspId }) => mspId);
}

/**
 * Fewest vehicles of a cohort unless told otherwise: half of them and, where updates are kept secret, at least three.
 *
 * @throws SevError COHORT_TOO_SMALL where there are fewer vehicles than that.
 */
export function minimumCohort(privacy: PrivacyMode, vehicles: number, asked?: number): number {
  const least = privacy === 'plain' ? 1 : LEAST_SECURE_COHORT;
  const minimum = asked ?? Math.max(least, Math.ceil(vehicles / 2));
  if (minimum < least || minimum > vehicles) {
    throw new SevError(
      'COHORT_TOO_SMALL',
      `${String(vehicles)} vehicles, at least ${String(minimum)} in a round; mode ${privacy} needs at least ${String(least)}`,
      {
        hint:
          minimum > vehicles && privacy === 'plain'
            ? 'Take more vehicles, or a smaller --minimum.'
            : 'Take more vehicles; --privacy plain, in which updates are visible, does with any number.',
        exitCode: EXIT.usage,
      },
    );
  }
  return minimum;
}

/** What a run in mode dp promises for all its rounds together: (ε, 10^−k). */
export interface DifferentialPrivacy {
  readonly epsilon: number;
  readonly deltaExponent: number;
}

/** The product's defaults; see docs/security.md for what follows from them. */
const DEFAULTS = {
  threshold: 1,
  clipMilli: 4_000,
  fractionBits: 11,
  shardSize: 1_024,
  metrics: ['loss', 'samples'],
  projections: 8,
  rule: 'norm-scaling',
  openedShareMilli: 250,
  receiptMs: 3_000,
} as const;
/** n aggregators bear t that collude, n ≥ 2t + 1. */
const THRESHOLD_OF: Readonly<Record<number, number>> = { 3: 1, 4: 1, 5: 2, 6: 2, 7: 3 };
/** Fewer rounds than these end with their sums shown and no model; their charge is provided for. */
const SPARE_ROUNDS = 1;
const MILLION = 1_000_000;

/**
 * Terms of secure aggregation for a task.
 *
 * @param aggregators MSP ids, three to seven.
 * @throws SevError AGGREGATORS_MISSING.
 */
export function secureTerms(
  task: Omit<Task, 'secure'>,
  aggregators: readonly string[],
  privacy: DifferentialPrivacy | undefined,
): SecureTerms {
  const threshold = THRESHOLD_OF[aggregators.length];
  if (threshold === undefined) {
    throw new SevError('AGGREGATORS_MISSING', `${String(aggregators.length)} aggregators; three to seven are needed`, {
      hint: 'Run in mode plain where there are fewer organisations (--privacy plain).',
      exitCode: EXIT.usage,
    });
  }
  const { metrics, ...defaults } = DEFAULTS;
  const terms: SecureTerms = { ...defaults, metrics: [...metrics], threshold, aggregators: [...aggregators].sort() };
  return privacy === undefined ? terms : withNoise(task, terms, privacy);
}

/** Nothing is opened but sums, and they carry noise: the least that keeps within ε over all planned rounds. */
function withNoise(task: Omit<Task, 'secure'>, terms: SecureTerms, privacy: DifferentialPrivacy): SecureTerms {
  const { epsilon, deltaExponent } = privacy;
  const budget = rhoFor(epsilon, 10 ** -deltaExponent);
  const rounds = task.plannedRounds + SPARE_ROUNDS;
  const strict: SecureTerms = { ...terms, projections: 0, rule: 'uniform', metrics: [] };
  const sensitivity = Number(sumSensitivity({ ...task, secure: strict }, strict));
  const noiseDeviation = Math.ceil(sensitivity / Math.sqrt((2 * budget) / rounds)) + 1;
  return { ...strict, dp: { noiseDeviation, budgetMicroRho: Math.floor(budget * MILLION), deltaExponent } };
}

/** The largest ρ whose ε at δ is within the one asked for; bisection, ε grows with ρ. */
function rhoFor(epsilon: number, delta: number): number {
  let [low, high] = [0, epsilon];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (epsilonOf(middle, delta) <= epsilon) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}
