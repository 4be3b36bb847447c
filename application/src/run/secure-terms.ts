// SPDX-License-Identifier: Apache-2.0
import { LEAST_SECURE_COHORT, sumSensitivity, type PrivacyMode, type SecureTerms, type Task } from '@sev/chaincode/api';
import { rhoWithin } from '@sev/fl';
import type { ConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';

/** The organisation whose coordinator drives the rounds. */
export const COORDINATOR_ORG = 'grid';
/** The organisation that audits: whoever audits the aggregation is not part of it. */
export const AUDITOR_ORG = 'regulator';
/** What a task in mode dp promises unless told otherwise. */
export const DEFAULT_EPSILON = 8;
export const DELTA_EXPONENT = 5;

/** MSP ids of the organisations that aggregate unless told otherwise: all but the one that audits. */
export function defaultAggregators({ organisations }: ConnectionProfile): string[] {
  return organisations.filter(({ name }) => name !== AUDITOR_ORG).map(({ mspId }) => mspId);
}

/**
 * Fewest vehicles of a cohort unless told otherwise: a third of them and, where updates are kept secret, at least three. With
 * half of them a second attempt on a base could not leave one vehicle out: as many as the minimum would have to go with it,
 * and as many be left.
 *
 * @throws SevError COHORT_TOO_SMALL where there are fewer vehicles than that.
 */
export function minimumCohort(privacy: PrivacyMode, vehicles: number, asked?: number): number {
  const least = privacy === 'plain' ? 1 : LEAST_SECURE_COHORT;
  const minimum = asked ?? Math.max(least, Math.floor(vehicles / 3));
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
  /** Millionths of ρ that the same vehicles have spent on statistics: they are part of the promise. */
  readonly spentMicroRho?: number;
}

/** The product's defaults; see docs/security.md for what follows from them. */
const DEFAULTS = {
  threshold: 1,
  clipMilli: 4_000,
  fractionBits: 11,
  shardSize: 1_024,
  metrics: ['loss'],
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

/** In the ring of 16 bits: vehicles in one sum at the most, so that an update keeps five fraction bits at C = 4. */
const NARROW_SHARD = 127;

/** How a task's terms depart from the defaults. */
export interface TermsChoice {
  readonly privacy?: DifferentialPrivacy;
  readonly ringBits?: 16;
  /** How weights follow from what is opened, and who gives the reference direction; default norm scaling. */
  readonly judged?: Pick<Partial<SecureTerms>, 'rule' | 'validation'>;
  /** No projections and no metrics, whatever the mode; all vehicles have to weigh alike. */
  readonly sumsOnly?: Pick<SecureTerms, 'clipMilli' | 'fractionBits'>;
}

/**
 * Terms of secure aggregation for a task.
 *
 * @param aggregators MSP ids, three to seven.
 * @throws SevError AGGREGATORS_MISSING, EPSILON_TOO_SMALL.
 */
export function secureTerms(
  task: Omit<Task, 'secure'>,
  aggregators: readonly string[],
  { privacy, ringBits, judged = {}, sumsOnly }: TermsChoice = {},
): SecureTerms {
  const threshold = THRESHOLD_OF[aggregators.length];
  if (threshold === undefined) {
    throw new SevError('AGGREGATORS_MISSING', `${String(aggregators.length)} aggregators; three to seven are needed`, {
      hint: 'Run in mode plain where there are fewer organisations (--privacy plain).',
      exitCode: EXIT.usage,
    });
  }
  // Less the losses that drawn vehicles say, their sum would be one of fewer vehicles than a cohort may have.
  const metrics = judged.validation?.vehicles === undefined ? [...DEFAULTS.metrics] : [];
  const common = { ...DEFAULTS, metrics, threshold, aggregators: [...aggregators].sort() };
  const terms: SecureTerms = { ...common, ...judged };
  const inRing = ringBits === 16 ? inNarrowRing(task, terms) : terms;
  const opened = sumsOnly === undefined ? inRing : { ...withoutProjections(inRing), ...sumsOnly };
  return privacy === undefined ? opened : withNoise(task, opened, privacy);
}

function withoutProjections(terms: SecureTerms): SecureTerms {
  return { ...terms, projections: 0, rule: 'uniform', metrics: [] };
}

/**
 * Sums only, of as many fraction bits as 2^f · 2C · shard < 2^15 leaves. Metrics would be cut to as few bits and say
 * nothing, so there are none.
 */
function inNarrowRing({ cohort }: Pick<Task, 'cohort'>, terms: SecureTerms): SecureTerms {
  const shardSize = Math.min(NARROW_SHARD, cohort.target);
  const room = (2 ** 15 - 1) / ((2 * terms.clipMilli * shardSize) / 1_000);
  const fractionBits = Math.min(terms.fractionBits, Math.floor(Math.log2(room)));
  return { ...withoutProjections(terms), ringBits: 16, shardSize, fractionBits };
}

/** Nothing is opened but sums, and they carry noise: the least that keeps within ε over all planned rounds. */
function withNoise(task: Omit<Task, 'secure'>, terms: SecureTerms, privacy: DifferentialPrivacy): SecureTerms {
  const { epsilon, deltaExponent, spentMicroRho = 0 } = privacy;
  const budget = Math.max(0, rhoWithin(epsilon, 10 ** -deltaExponent) - spentMicroRho / MILLION);
  const rounds = task.plannedRounds + SPARE_ROUNDS;
  const strict = withoutProjections(terms);
  const sensitivity = Number(sumSensitivity({ ...task, secure: strict }, strict));
  // In whole millionths, as the contract charges every round, so that its rounding up does not cross the budget.
  const perRound = Math.floor((budget * MILLION) / rounds) / MILLION;
  if (perRound === 0) {
    throw new SevError(
      'EPSILON_TOO_SMALL',
      `ε = ${String(epsilon)} leaves nothing to each of ${String(rounds)} rounds`,
      {
        hint: 'Plan fewer rounds, or a larger --epsilon.',
        exitCode: EXIT.usage,
      },
    );
  }
  const noiseDeviation = Math.ceil(sensitivity / Math.sqrt(2 * perRound));
  return { ...strict, dp: { noiseDeviation, budgetMicroRho: Math.floor(budget * MILLION), deltaExponent } };
}
