// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  TIME_MARGIN_MS,
  type AbortRound,
  type AbortStatement,
  type CloseRound,
  type CloseStatement,
  type OpenRound,
  type Organisation,
  type RoundRecord,
  type RoundState,
  type Signable,
  type SignedBy,
  type Task,
} from '../api';
import { requireMajority, validStatements } from './statements';

/** Who drives a transition and when. */
export interface TransitionFacts {
  readonly callerMspId: string;
  readonly nowMs: number;
  readonly organisations: readonly Organisation[];
}

/**
 * Opens a round, or its next attempt after an abort. Every transition returns the record it was given, the same
 * object, where it repeats what has been done with the same content.
 *
 * @param current - the round's record, where there is one.
 * @param previous - the record of the round before, where there is one.
 * @throws ContractError ROUND_OUT_OF_ORDER, ROUND_STATE, ROUND_CONFLICT, BASE_MODEL_MISMATCH
 */
export function openRound(
  task: Task,
  input: OpenRound,
  current: RoundRecord | undefined,
  previous: RoundRecord | undefined,
  facts: Pick<TransitionFacts, 'callerMspId' | 'nowMs'>,
): RoundRecord {
  if (current?.attempt === input.attempt) {
    if (current.baseModelHash !== input.baseModelHash) {
      throw new ContractError('ROUND_CONFLICT', `this attempt was opened on ${current.baseModelHash}`);
    }
    return current;
  }
  const next = (current?.attempt ?? 0) + 1;
  if (input.attempt !== next) {
    throw new ContractError('ROUND_OUT_OF_ORDER', `attempt ${input.attempt}; the next one is ${next}`);
  }
  if (current !== undefined) {
    requireState(current, 'aborted');
  }
  const baseModelHash = currentModel(task, input.round, previous);
  if (input.baseModelHash !== baseModelHash) {
    throw new ContractError('BASE_MODEL_MISMATCH', `the current model of the task is ${baseModelHash}`);
  }
  return {
    docType: 'round',
    schemaVersion: 1,
    taskId: task.taskId,
    round: input.round,
    attempt: input.attempt,
    state: 'open',
    privacy: task.privacy,
    baseModelHash,
    openedBy: facts.callerMspId,
    openedAtMs: facts.nowMs,
    deadlineMs: facts.nowMs + task.deadlines.roundMs,
  };
}

/**
 * open → closed: by a majority's statements at any time, by any single organisation after the deadline and its margin.
 *
 * @throws ContractError ROUND_STALE, ROUND_STATE, STATEMENTS_INSUFFICIENT, ROUND_DEADLINE_NOT_REACHED
 */
export function closeRound(round: RoundRecord, input: CloseRound, facts: TransitionFacts): RoundRecord {
  requireAttempt(round, input.attempt);
  if (round.state === 'closed' || round.state === 'finalised') {
    return round;
  }
  requireState(round, 'open');
  const closedBy = requireAuthority(round, input.statements, facts, (mspId): CloseStatement => ({
    type: 'sev/close-round/v1',
    taskId: round.taskId,
    round: round.round,
    attempt: round.attempt,
    mspId,
  }));
  return { ...round, state: 'closed', closedAtMs: facts.nowMs, closedBy };
}

/**
 * open or closed → aborted, on the same authority as closing.
 *
 * @throws ContractError ROUND_STALE, ROUND_STATE, ROUND_CONFLICT, STATEMENTS_INSUFFICIENT, ROUND_DEADLINE_NOT_REACHED
 */
export function abortRound(round: RoundRecord, input: AbortRound, facts: TransitionFacts): RoundRecord {
  requireAttempt(round, input.attempt);
  if (round.state === 'aborted') {
    if (round.abortReason !== input.reason) {
      throw new ContractError('ROUND_CONFLICT', 'aborted before for another reason');
    }
    return round;
  }
  requireState(round, 'open', 'closed');
  requireAuthority(round, input.statements, facts, (mspId): AbortStatement => ({
    type: 'sev/abort-round/v1',
    taskId: round.taskId,
    round: round.round,
    attempt: round.attempt,
    reason: input.reason,
    mspId,
  }));
  return { ...round, state: 'aborted', abortedAtMs: facts.nowMs, abortReason: input.reason };
}

/** @throws ContractError ROUND_STALE where the ledger is at another attempt. */
export function requireAttempt(round: RoundRecord, attempt: number): void {
  if (round.attempt !== attempt) {
    throw new ContractError('ROUND_STALE', `attempt ${attempt}; the ledger is at attempt ${round.attempt}`);
  }
}

/** @throws ContractError ROUND_STATE where the round is in none of these states. */
export function requireState(round: RoundRecord, ...states: readonly RoundState[]): void {
  if (!states.includes(round.state)) {
    throw new ContractError('ROUND_STATE', `the round is ${round.state}, not ${states.join(' or ')}`);
  }
}

function currentModel(task: Task, round: number, previous: RoundRecord | undefined): string {
  if (round === 1) {
    return task.model.initialModelHash;
  }
  if (previous?.state !== 'finalised' || previous.proposal === undefined) {
    throw new ContractError('ROUND_OUT_OF_ORDER', `round ${round - 1} is not finalised`);
  }
  return previous.proposal.modelHash;
}

/** The organisations on whose authority a round ends early, or late. */
function requireAuthority(
  round: RoundRecord,
  statements: readonly SignedBy[],
  { callerMspId, nowMs, organisations }: TransitionFacts,
  statementOf: (mspId: string) => Signable,
): string[] {
  const valid = validStatements(statements, organisations, statementOf);
  const signers = valid.map(({ mspId }) => mspId);
  if (nowMs > round.deadlineMs + TIME_MARGIN_MS) {
    return [...new Set([...signers, callerMspId])].sort();
  }
  if (statements.length === 0) {
    throw new ContractError(
      'ROUND_DEADLINE_NOT_REACHED',
      `alone after ${round.deadlineMs + TIME_MARGIN_MS}, before it with the statements of a majority`,
    );
  }
  requireMajority(valid, organisations);
  return signers;
}
