// SPDX-License-Identifier: Apache-2.0
import { floorProblem, openedNumbers, projectionBudget, type SecureRound, type Task } from '@sev/chaincode/api';
import { epsilonOf } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import { noiseProblem, type StatisticsSpent } from '../services/statistics.js';

/** Privacy that vehicles spend on one task of mode `dp` unless told otherwise. */
const DEFAULT_MAX_EPSILON = 10;

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
  /** What the statistics that the vehicles' features are scaled by have spent of it, by the ledger; default nothing. */
  readonly statistics?: StatisticsSpent | undefined;
}

/** What vehicles take part in where their owner has said no more. */
export function taskChoice({
  plain = false,
  he = false,
  maxEpsilon = DEFAULT_MAX_EPSILON,
  statistics,
}: {
  readonly [Property in keyof TaskChoice]?: TaskChoice[Property] | undefined;
}): TaskChoice {
  return { plain, he, maxEpsilon, statistics };
}

/**
 * Why vehicles take no part in a task, whatever contract let it be made: a peer of another version, or a consortium that
 * lowered its floors, does not decide for them.
 *
 * @returns MODE_NOT_TAKEN, TERMS_BELOW_FLOOR, STATISTICS_WITHOUT_NOISE or EPSILON_TOO_LARGE; undefined where they do.
 */
export function reasonToAbstain(task: Task, choice: TaskChoice): SevError | undefined {
  const { privacy } = task;
  if (privacy === 'plain' || (privacy === 'he' && !choice.he)) {
    return choice[privacy] ? undefined : modeNotTaken(privacy);
  }
  const below = floorProblem(task);
  if (below !== undefined) {
    return abstention('TERMS_BELOW_FLOOR', `the task keeps too little secret: ${below.path}: ${below.problem}`);
  }
  return noiseProblem(privacy, choice.statistics) ?? epsilonProblem(task, choice);
}

function modeNotTaken(mode: 'plain' | 'he'): SevError {
  return abstention(
    'MODE_NOT_TAKEN',
    `the task runs in mode ${mode}, in which these vehicles take no part`,
    `Where their owner agrees to what it shows, start them with --${mode}.`,
  );
}

/** What the task may spend and what its statistics have spent are of the same rows: ρ adds up. */
function epsilonProblem({ secure }: Task, { maxEpsilon, statistics }: TaskChoice): SevError | undefined {
  const { dp } = secure ?? {};
  if (dp === undefined) {
    return undefined;
  }
  const microRho = dp.budgetMicroRho + (statistics?.chargedMicroRho ?? 0);
  const epsilon = epsilonOf(microRho / 1e6, Math.min(MAX_DELTA, 10 ** -dp.deltaExponent));
  const both = statistics === undefined ? '' : `, with the statistics of task ${statistics.taskId} that scale it`;
  return epsilon <= maxEpsilon
    ? undefined
    : abstention(
        'EPSILON_TOO_LARGE',
        `the task may spend ε = ${epsilon.toFixed(2)}${both}, more than the ${String(maxEpsilon)} of these vehicles`,
        'Where their owner agrees to more, start them with a larger --max-epsilon.',
      );
}

function abstention(code: string, message: string, hint?: string): SevError {
  return new SevError(code, message, { hint, exitCode: EXIT.refused });
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
