// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  type DisputePhase,
  type RoundRecord,
  type RoundState,
  type SecureRound,
  type SecureTerms,
  type Task,
} from '../api';
import { requireAttempt, requireState } from './round';

/** A round in a secure mode with its task's terms. */
export interface SecureAttempt {
  readonly round: RoundRecord;
  readonly task: Task;
  readonly terms: SecureTerms;
  readonly secure: SecureRound;
}

/** The states of a secure round in order, from the one in which updates are fixed. */
const STATES: readonly RoundState[] = ['closed', 'cohort', 'scored', 'aggregated', 'finalised'];

/**
 * The attempt that a transaction of the secure protocol names.
 *
 * @throws ContractError ROUND_STALE; ROUND_STATE where the round runs in plain mode.
 */
export function secureAttempt(round: RoundRecord, task: Task, attempt: number): SecureAttempt {
  requireAttempt(round, attempt);
  const { secure } = round;
  const { secure: terms } = task;
  if (secure === undefined || terms === undefined) {
    throw new ContractError('ROUND_STATE', `task ${task.taskId} runs in plain mode`);
  }
  return { round, task, terms, secure };
}

/**
 * Whether a step that leads from a state has been done already.
 *
 * @throws ContractError ROUND_STATE where the round is in neither that state nor one that follows it.
 */
export function isPast({ state, ...round }: RoundRecord, from: RoundState): boolean {
  if (STATES.indexOf(state) > STATES.indexOf(from)) {
    return true;
  }
  requireState({ ...round, state }, from);
  return false;
}

/** Names an attempt in statements, nonces and seeds. */
export function refOf(
  { taskId, round, attempt }: RoundRecord,
  consortium: string,
): { readonly consortium: string; readonly taskId: string; readonly round: number; readonly attempt: number } {
  return { consortium, taskId, round, attempt };
}

/** The record with what a step changed, in its new state. */
export function advanced(
  round: RoundRecord,
  state: RoundState,
  nowMs: number,
  change: Partial<SecureRound>,
): RoundRecord {
  const { secure } = round;
  return secure === undefined ? round : { ...round, state, stateSinceMs: nowMs, secure: { ...secure, ...change } };
}

/** Whether a verdict took an aggregator's word. */
export function isHeard({ faulty }: SecureRound, mspId: string): boolean {
  return !faulty.includes(mspId);
}

/** @throws ContractError DISPUTE_OPEN while a dispute in one of these phases, or in any, waits for its verdict. */
export function requireSettled({ disputes }: SecureRound, ...phases: readonly DisputePhase[]): void {
  const open = disputes.find(
    ({ phase, faulty }) => faulty === undefined && (phases.length === 0 || phases.includes(phase)),
  );
  if (open !== undefined) {
    throw new ContractError('DISPUTE_OPEN', `about the ${open.phase} of component ${open.component}`);
  }
}
