// SPDX-License-Identifier: Apache-2.0
import { ContractError, type HeRound, type HeTaskTerms, type RoundRecord, type RoundState, type Task } from '../api';
import { requireAttempt } from './round';

/** A round in mode `he` with its task's terms. */
export interface HeAttempt {
  readonly round: RoundRecord;
  readonly task: Task;
  readonly terms: HeTaskTerms;
  readonly he: HeRound;
}

/**
 * The attempt that a transaction of mode `he` names.
 *
 * @throws ContractError ROUND_STALE; ROUND_STATE where the round runs in another mode.
 */
export function heAttempt(round: RoundRecord, task: Task, attempt: number): HeAttempt {
  requireAttempt(round, attempt);
  const { he } = round;
  const { he: terms } = task;
  if (he === undefined || terms === undefined) {
    throw new ContractError('ROUND_STATE', `task ${task.taskId} does not run in mode he`);
  }
  return { round, task, terms, he };
}

/** The record with what a step changed, in its new state. */
export function heAdvanced(
  { round, he }: HeAttempt,
  state: RoundState,
  nowMs: number,
  change: Partial<HeRound>,
): RoundRecord {
  return { ...round, state, stateSinceMs: nowMs, he: { ...he, ...change } };
}
