// SPDX-License-Identifier: Apache-2.0
import { floorProblem, openedNumbers, projectionBudget, type SecureRound, type Task } from '@sev/chaincode/api';
import { epsilonOf } from '@sev/fl';

/** Privacy that vehicles spend on one task of mode `dp` unless told otherwise. */
export const DEFAULT_MAX_EPSILON = 10;

/** A task could promise any ε at a δ that is large enough. */
const MAX_DELTA = 1e-5;

/** What vehicles take part in. */
export interface TaskChoice {
  /** Tasks of mode `plain`, too. */
  readonly plain: boolean;
  /** Tasks of mode `he`, too: of the organisations that a task names, two in league see every update. */
  readonly he: boolean;
  /** Most that the whole budget of a task of mode `dp` may come to, at the task's δ or 10^−5, whichever is less. */
  readonly maxEpsilon: number;
}

/**
 * Why vehicles take no part in a task, whatever contract let it be made: a peer of another version, or a consortium that
 * lowered its floors, does not decide for them.
 *
 * @returns undefined where they do.
 */
export function reasonToAbstain(task: Task, { plain, he, maxEpsilon }: TaskChoice): string | undefined {
  if (task.privacy === 'plain') {
    return plain ? undefined : 'the task runs in mode plain, in which these vehicles take no part';
  }
  if (task.privacy === 'he' && !he) {
    return 'the task runs in mode he, in which these vehicles take no part';
  }
  const below = floorProblem(task);
  if (below !== undefined) {
    return `the task keeps too little secret: ${below.path}: ${below.problem}`;
  }
  const epsilon = promisedEpsilon(task);
  return epsilon <= maxEpsilon
    ? undefined
    : `the task may spend ε = ${epsilon.toFixed(2)}, more than the ${String(maxEpsilon)} of these vehicles`;
}

/**
 * Why vehicles sit an attempt out, whatever contract opened it: it would open more numbers of their updates than its task may,
 * or along a direction that nobody is bound to before they report.
 *
 * @returns undefined where they take part.
 */
export function reasonToSitOut(task: Task, { openedProjections, opening }: SecureRound): string | undefined {
  const { secure } = task;
  if (secure === undefined) {
    return undefined;
  }
  const opened = openedProjections + openedNumbers(secure);
  const budget = projectionBudget(task, secure);
  if (opened > budget) {
    return `with this attempt the task opens ${String(opened)} numbers of an update, more than its ${String(budget)}`;
  }
  return secure.validation !== undefined && (opening.validations ?? []).length === 0
    ? 'the attempt binds nobody to the direction that it will open updates along'
    : undefined;
}

function promisedEpsilon({ secure }: Task): number {
  const { dp } = secure ?? {};
  return dp === undefined ? 0 : epsilonOf(dp.budgetMicroRho / 1e6, Math.min(MAX_DELTA, 10 ** -dp.deltaExponent));
}
