// SPDX-License-Identifier: Apache-2.0
import type { Task } from './learning';
import { ceilSqrt, maxWeightOf, projectionBudget, quantisedClip, sumsMicroRho } from './privacy';
import type { SecureTerms } from './secure';

/** Sums and projections are read as two's complement: what is opened stays below this in magnitude. */
const RING_HALF = 1n << 31n;

/** Deviations that the tail of the noise is taken to reach: beyond 12 σ lies a share of 10^−32. */
const NOISE_TAIL = 12n;

/** Where a task's terms break a rule that their schema cannot express. */
export interface TermsProblem {
  /** `secure.threshold` */
  readonly path: string;
  readonly problem: string;
}

type Rule = readonly [holds: boolean, path: string, problem: string];

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
      ? firstBroken([[privacy === 'plain', 'secure', `missing in mode ${privacy}`]])
      : (firstBroken([...modeRules(task, terms), ...aggregatorRules(terms), ...ringRules(task, terms)]) ??
        firstBroken(budgetRules(task, terms)));
  return broken && { path: broken[1], problem: broken[2] };
}

function firstBroken(rules: readonly Rule[]): Rule | undefined {
  return rules.find(([holds]) => !holds);
}

function modeRules({ privacy }: Task, { dp, projections, rule }: SecureTerms): Rule[] {
  return [
    [privacy !== 'plain', 'secure', 'only in the modes secure and dp'],
    [(dp !== undefined) === (privacy === 'dp'), 'secure.dp', 'present in mode dp, and only there'],
    [projections === 0 || privacy !== 'dp', 'secure.projections', '0 in mode dp'],
    [projections > 0 || rule === 'uniform', 'secure.rule', 'without projections only uniform'],
  ];
}

function aggregatorRules({ aggregators, threshold, metrics }: SecureTerms): Rule[] {
  const ascending = aggregators.every((mspId, index) => index === 0 || (aggregators[index - 1] ?? '') < mspId);
  const needed = 2 * threshold + 1;
  return [
    [ascending, 'secure.aggregators', 'not sorted without repetition'],
    [aggregators.length >= needed, 'secure.threshold', `${threshold} needs ${needed} aggregators`],
    [new Set(metrics).size === metrics.length, 'secure.metrics', 'one occurs twice'],
  ];
}

/** 2^f · 2C · max(a) · shard + noise < 2^31 for sums; 2^f · 2C · ⌈√d⌉ < 2^31 for projections, whose vectors have norm √d. */
function ringRules(task: Task, terms: SecureTerms): Rule[] {
  const value = quantisedClip(terms, 2n);
  const noise = BigInt(terms.aggregators.length) * BigInt(terms.dp?.noiseDeviation ?? 0) * NOISE_TAIL;
  const sum = value * BigInt(maxWeightOf(task)) * BigInt(terms.shardSize) + noise;
  const projection = terms.projections === 0 ? 0n : value * ceilSqrt(BigInt(task.model.parameters));
  return [
    [sum < RING_HALF, 'secure.shardSize', `a sum could reach ${sum}, beyond the ring`],
    [projection < RING_HALF, 'secure.fractionBits', `a projection could reach ${projection}, beyond the ring`],
  ];
}

function budgetRules(task: Task, terms: SecureTerms): Rule[] {
  const { dp, shardSize } = terms;
  const projections = projectionBudget(task, terms);
  const charge = sumsMicroRho(task);
  // The noise is made once for a round, not once a shard, so in mode dp all vehicles of a round go into one sum.
  const oneSum = dp === undefined || task.cohort.target <= shardSize;
  return [
    [terms.projections <= projections, 'secure.openedShareMilli', `${projections} in all, fewer than one round opens`],
    [charge <= BigInt(dp?.budgetMicroRho ?? 0), 'secure.dp.budgetMicroRho', `one round's sums are charged ${charge}`],
    [oneSum, 'cohort.target', `above secure.shardSize ${shardSize}; mode dp opens a single sum`],
  ];
}
