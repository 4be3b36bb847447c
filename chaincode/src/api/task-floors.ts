// SPDX-License-Identifier: Apache-2.0
import type { Task } from './learning';

/** Where updates are kept secret, a sum of fewer vehicles would say too much about each. */
export const LEAST_SECURE_COHORT = 3;

/** Sums of smaller groups, drawn anew in every round, can be solved for what each vehicle typically reports. */
export const LEAST_SHARD = 64;

/** Share of the model's dimension, in thousandths, that all projections of a task may reach. */
export const MOST_OPENED_SHARE_MILLI = 250;

/** Of fewer validators one could choose the direction by itself that a number of every update is opened along. */
export const LEAST_VALIDATORS = 3;

export interface FloorProblem {
  /** `secure.shardSize` */
  readonly path: string;
  readonly problem: string;
}

/**
 * What vehicles may count on, whatever task is made: one organisation alone makes it. Contracts of earlier versions had
 * other floors, so the audit does not judge tasks by them, and vehicles look at them themselves.
 *
 * A cohort that does not fit in one shard is cut evenly, so shards of s may leave one of ⌊(s + 1) / 2⌋ and none smaller.
 *
 * @returns the first floor that a task is below; undefined where it is below none.
 */
export function floorProblem(task: Task): FloorProblem | undefined {
  const { privacy, cohort, secure } = task;
  if (privacy !== 'plain' && cohort.minimum < LEAST_SECURE_COHORT) {
    return { path: 'cohort.minimum', problem: `at least ${LEAST_SECURE_COHORT} in mode ${privacy}` };
  }
  if (task.kind === 'statistics' && privacy !== 'plain' && task.plannedRounds > 1) {
    return { path: 'plannedRounds', problem: '1 of statistics: a vehicle reports the same in every round' };
  }
  if (secure === undefined) {
    return undefined;
  }
  if (task.kind === 'statistics' && secure.projections > 0) {
    return { path: 'secure.projections', problem: '0 of statistics: they are few numbers and easily guessed' };
  }
  if (secure.openedShareMilli > MOST_OPENED_SHARE_MILLI) {
    return { path: 'secure.openedShareMilli', problem: `at most ${MOST_OPENED_SHARE_MILLI}` };
  }
  const { validators = [] } = secure.validation ?? {};
  if (secure.validation !== undefined && validators.length < LEAST_VALIDATORS) {
    return { path: 'secure.validation.validators', problem: `at least ${LEAST_VALIDATORS}` };
  }
  const divisible = 2 * LEAST_SHARD - 1;
  return secure.shardSize >= Math.min(divisible, cohort.target)
    ? undefined
    : { path: 'secure.shardSize', problem: `at least ${divisible}, or cohort.target where that is less` };
}
