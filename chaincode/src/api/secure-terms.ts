// SPDX-License-Identifier: Apache-2.0
import type { Task } from './learning';
import type { ErrorCode } from './errors';
import { isAscending } from './primitives';
import { ceilSqrt, maxWeightOf, openedNumbers, projectionBudget, quantisedClip, sumsMicroRho } from './privacy';
import { ringBitsOfTerms, type SecureTerms } from './secure';
import { DIRECTION_NORM } from './validation';

/** Deviations that the tail of the noise is taken to reach: beyond 12 σ lies a share of 10^−32. */
const NOISE_TAIL = 12n;

/** Projections of an update that a single record made let whoever guesses the record confirm it. */
const MIN_PROJECTED_SAMPLES = 2;

/** Weights are integers: from a smaller one, scaling down would round a vehicle that is a little too long to nothing. */
const MIN_SCALED_WEIGHT = 4;

/** Rules that compare each update with the reference direction. */
const DIRECTED_RULES: readonly SecureTerms['rule'][] = ['trust', 'capped-trust'];

/**
 * Bound on the norm of the median of directions: at each coordinate half of them, or more, are as large as the median, so
 * that its square is at most twice the mean of theirs. ⌈√2 · 2^16⌉
 */
const REFERENCE_NORM = ceilSqrt(2n * BigInt(DIRECTION_NORM) ** 2n);

/** Where a task's terms break a rule that their schema cannot express. */
export interface TermsProblem {
  /** `secure.threshold` */
  readonly path: string;
  readonly problem: string;
  readonly code: ErrorCode;
}

type Rule = readonly [holds: boolean, path: string, problem: string, code?: ErrorCode];

/**
 * Checks the terms of secure aggregation: present in the secure modes only, consistent, and such that nothing that is
 * opened can wrap around in the ring.
 *
 * @returns the first rule that the task breaks; undefined where all hold.
 */
export function secureTermsProblem(task: Task): TermsProblem | undefined {
  const { secure: terms, privacy } = task;
  const broken =
    terms === undefined
      ? firstBroken([
          [privacy === 'plain' || privacy === 'he', 'secure', `missing in mode ${privacy}`],
          [task.rewards === undefined, 'rewards', 'only with secure.validation: they pay for contributions'],
        ])
      : (firstBroken([
          ...modeRules(task, terms),
          ...aggregatorRules(terms),
          ...validationRules(task, terms),
          ...ringRules(task, terms),
        ]) ?? firstBroken(budgetRules(task, terms)));
  return broken && { path: broken[1], problem: broken[2], code: broken[3] ?? 'ARGUMENT_INVALID' };
}

function firstBroken(rules: readonly Rule[]): Rule | undefined {
  return rules.find(([holds]) => !holds);
}

function modeRules({ privacy, aggregation }: Task, { dp, projections, rule }: SecureTerms): Rule[] {
  const lowest = Math.min(...aggregation.weightClasses.map(({ weight }) => weight));
  const hasRoom = rule === 'uniform' || lowest >= MIN_SCALED_WEIGHT;
  return [
    [privacy === 'secure' || privacy === 'dp', 'secure', 'only in the modes secure and dp'],
    [(dp !== undefined) === (privacy === 'dp'), 'secure.dp', 'present in mode dp, and only there'],
    [projections === 0 || privacy !== 'dp', 'secure.projections', '0 in mode dp'],
    [projections > 0 || rule === 'uniform', 'secure.rule', 'without projections only uniform'],
    [
      projections === 0 || (aggregation.weightClasses[0]?.minSamples ?? 0) >= MIN_PROJECTED_SAMPLES,
      'aggregation.weightClasses',
      `a vehicle with a single record takes no part where projections are opened: from ${MIN_PROJECTED_SAMPLES} samples on`,
    ],
    [hasRoom, 'aggregation.weightClasses', `a weight of ${lowest} leaves ${rule} no room; ${MIN_SCALED_WEIGHT} does`],
  ];
}

function aggregatorRules({ aggregators, threshold, metrics }: SecureTerms): Rule[] {
  const needed = 2 * threshold + 1;
  return [
    [isAscending(aggregators), 'secure.aggregators', 'not sorted without repetition'],
    [aggregators.length >= needed, 'secure.threshold', `${threshold} needs ${needed} aggregators`],
    [new Set(metrics).size === metrics.length, 'secure.metrics', 'one occurs twice'],
  ];
}

/** The sum of losses, less those that drawn vehicles say one by one, would be one of fewer vehicles than a cohort may have. */
function validationRules({ rewards }: Task, { validation, rule, projections, metrics }: SecureTerms): Rule[] {
  const isJudged = validation !== undefined;
  return [
    [isJudged || !DIRECTED_RULES.includes(rule), 'secure.validation', `missing: ${rule} compares with its direction`],
    [!isJudged || projections > 0, 'secure.validation', 'only where projections are opened, so not in mode dp'],
    [isAscending(validation?.validators ?? []), 'secure.validation.validators', 'not sorted without repetition'],
    [
      validation?.vehicles === undefined || !metrics.includes('loss'),
      'secure.metrics',
      'loss is not summed where secure.validation.vehicles say theirs: the difference is of fewer than a cohort',
    ],
    [isJudged || rewards === undefined, 'rewards', 'only with secure.validation: they pay for contributions'],
  ];
}

/**
 * Excludes that what is opened wraps around, with A = 2^f · 2C: the range up to which a vehicle is believed, and which bounds
 * each of its coordinates too.
 *
 *   a rounded update's norm ≤ A             no honest vehicle is out of range
 *   A · max(a) · shard + noise < 2^(w−1)    sums, which are read as two's complement
 *   A · ⌈√d⌉ < 2^(w−1)                      projections, whose vectors have norm √d at the most
 *   A · ⌈√2 · 2^16⌉ < 2^(w−1)               the projection on the reference direction
 *
 * In w = 16 bits neither projections nor noise have a place.
 */
function ringRules(task: Task, terms: SecureTerms): Rule[] {
  const value = quantisedClip(terms, 2n);
  const noise = BigInt(terms.aggregators.length) * BigInt(terms.dp?.noiseDeviation ?? 0) * NOISE_TAIL;
  const sum = value * BigInt(maxWeightOf(task)) * BigInt(terms.shardSize) + noise;
  const projection = terms.projections === 0 ? 0n : value * ceilSqrt(BigInt(task.model.parameters));
  const referred = terms.validation === undefined ? 0n : value * REFERENCE_NORM;
  const bits = ringBitsOfTerms(terms);
  const half = 1n << BigInt(bits - 1);
  const isNarrow = bits === 16;
  return [
    [!isNarrow || terms.projections === 0, 'secure.ringBits', '16 leaves no room for projections', 'RING_TOO_NARROW'],
    [!isNarrow || terms.dp === undefined, 'secure.ringBits', '16 leaves no room for noise', 'RING_TOO_NARROW'],
    [
      staysInRange(terms, BigInt(task.model.parameters)),
      'secure.fractionBits',
      'rounding could take an honest update out of its range of twice the clip',
    ],
    [sum < half, 'secure.shardSize', `a sum could reach ${sum}, beyond the ring`],
    [projection < half, 'secure.fractionBits', `a projection could reach ${projection}, beyond the ring`],
    [
      referred < half,
      'secure.fractionBits',
      `a projection on the reference direction could reach ${referred}, beyond the ring`,
    ],
  ];
}

/**
 * min{ c + √d, √(c² + d/4 + c + √d/2) } ≤ 2c with c = 2^f · C, multiplied out: the bound on the norm of a rounded update (fl
 * `roundedBound`) is within twice the clip.
 */
function staysInRange({ fractionBits, clipMilli }: SecureTerms, length: bigint): boolean {
  const milli = (1n << BigInt(fractionBits)) * BigInt(clipMilli);
  const square = milli * milli;
  const excess = 1_000_000n * length + 4_000n * milli + 2_000_000n * ceilSqrt(length);
  return 1_000_000n * length <= square || excess <= 12n * square;
}

function budgetRules(task: Task, terms: SecureTerms): Rule[] {
  const { dp, shardSize } = terms;
  const budget = projectionBudget(task, terms);
  const charge = sumsMicroRho(task);
  // The noise is made once for a round, not once a shard, so in mode dp all vehicles of a round go into one sum.
  const oneSum = dp === undefined || task.cohort.target <= shardSize;
  return [
    [openedNumbers(terms) <= budget, 'secure.openedShareMilli', `${budget} in all, fewer than one round opens`],
    [charge <= BigInt(dp?.budgetMicroRho ?? 0), 'secure.dp.budgetMicroRho', `one round's sums are charged ${charge}`],
    [oneSum, 'cohort.target', `above secure.shardSize ${shardSize}; mode dp opens a single sum`],
  ];
}
