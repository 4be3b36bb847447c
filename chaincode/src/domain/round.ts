// SPDX-License-Identifier: Apache-2.0
import {
  aloneAfterMs,
  ContractError,
  isAscending,
  namesHeParty,
  silentArbiter,
  type AbortRound,
  type AbortStatement,
  type CloseRound,
  type CloseStatement,
  type CorrectionRecord,
  type OpenRound,
  type Organisation,
  type RoundRecord,
  type RoundState,
  type SecureRound,
  type Signable,
  type SignedBy,
  type Task,
} from '../api';
import { heOpeningHashOf, openedHomomorphically } from './he-opening';
import { openedSecurely, openingHashOf, type OpeningFacts } from './secure-opening';
import { requireMajority, validStatements } from './statements';

/** Who drives a transition and when. */
export interface TransitionFacts {
  /** The network that organisations sign for. */
  readonly consortium: string;
  readonly callerMspId: string;
  readonly nowMs: number;
  readonly organisations: readonly Organisation[];
}

export interface OpenFacts extends TransitionFacts, OpeningFacts {
  /** What a confirmed incident made of the model of the round before; undefined where nothing. */
  readonly correction: Pick<CorrectionRecord, 'modelHash'> | undefined;
}

/**
 * Opens a round, or its next attempt after an abort. Every transition returns the record it was given, the same
 * object, where it repeats what has been done with the same content.
 *
 * @param current - the round's record, where there is one.
 * @param previous - the record of the round before, where there is one.
 * @throws ContractError ROUND_OUT_OF_ORDER, ROUND_STATE, ROUND_CONFLICT, BASE_MODEL_MISMATCH; in a secure mode those of
 *   {@link openedSecurely}.
 */
export function openRound(
  task: Task,
  input: OpenRound,
  current: RoundRecord | undefined,
  previous: RoundRecord | undefined,
  facts: OpenFacts,
): RoundRecord {
  if (current?.attempt === input.attempt) {
    checkSameOpening(current, input);
    return current;
  }
  const next = (current?.attempt ?? 0) + 1;
  if (input.attempt !== next) {
    throw new ContractError('ROUND_OUT_OF_ORDER', `attempt ${input.attempt}; the next one is ${next}`);
  }
  if (current !== undefined) {
    requireState(current, 'aborted');
  }
  if (input.round > task.plannedRounds) {
    throw new ContractError('ROUND_OUT_OF_ORDER', `round ${input.round}; the task plans ${task.plannedRounds}`);
  }
  const baseModelHash = currentModel(task, input.round, previous, facts.correction);
  if (input.baseModelHash !== baseModelHash) {
    throw new ContractError('BASE_MODEL_MISMATCH', `the current model of the task is ${baseModelHash}`);
  }
  return {
    docType: 'round',
    schemaVersion: 2,
    taskId: task.taskId,
    round: input.round,
    attempt: input.attempt,
    state: 'open',
    privacy: task.privacy,
    baseModelHash,
    openedBy: facts.callerMspId,
    openedAtMs: facts.nowMs,
    deadlineMs: facts.nowMs + task.deadlines.roundMs,
    ...openedInMode(task, input, { current, previous }, facts),
  };
}

function checkSameOpening(current: RoundRecord, input: OpenRound): void {
  if (current.baseModelHash !== input.baseModelHash) {
    throw new ContractError('ROUND_CONFLICT', `this attempt was opened on ${current.baseModelHash}`);
  }
  const openingHash = (current.secure ?? current.he)?.openingHash;
  if (openingHash !== (openingHashOf(input) ?? heOpeningHashOf(input))) {
    throw new ContractError('ROUND_CONFLICT', `opened before with the opening ${openingHash ?? ''}`);
  }
}

/** What a new attempt carries beside the common fields. */
function openedInMode(
  task: Task,
  input: OpenRound,
  { current, previous }: { readonly current: RoundRecord | undefined; readonly previous: RoundRecord | undefined },
  facts: OpenFacts,
): Pick<RoundRecord, 'secure' | 'he'> {
  const he = openedHomomorphically(task, input, facts);
  if (he !== undefined) {
    return { he };
  }
  const secure = openedSecurely(task, input, current, previous, facts);
  return secure === undefined ? {} : { secure };
}

/**
 * open → closed: by a majority's statements at any time, by any single organisation after the deadline and its margin.
 *
 * @throws ContractError ROUND_STALE, ROUND_STATE, STATEMENTS_INSUFFICIENT, ROUND_DEADLINE_NOT_REACHED
 */
export function closeRound(round: RoundRecord, task: Task, input: CloseRound, facts: TransitionFacts): RoundRecord {
  requireAttempt(round, input.attempt);
  if (round.state !== 'open' && round.state !== 'aborted') {
    return round;
  }
  requireState(round, 'open');
  const closedBy = requireAuthority(round, task, input.statements, facts, (mspId): CloseStatement => ({
    type: 'sev/close-round/v1',
    consortium: facts.consortium,
    taskId: round.taskId,
    round: round.round,
    attempt: round.attempt,
    mspId,
  }));
  return { ...round, state: 'closed', closedAtMs: facts.nowMs, closedBy };
}

/**
 * Any state but the final ones → aborted: by a majority's statements at any time, by any single organisation after the
 * deadline and its margin, or, once it is closed, when as long as a round takes has gone by since the present state began.
 * So whoever closes late cannot take the others the time to attest. Budgets that were spent stay spent. An abort whose
 * reason names somebody always needs a majority; one that finds a dispute unsettled keeps who was to settle it.
 *
 * @throws ContractError ROUND_STALE, ROUND_STATE, ROUND_CONFLICT, ACCUSATION_INVALID, STATEMENTS_INSUFFICIENT,
 *   ROUND_DEADLINE_NOT_REACHED
 */
export function abortRound(round: RoundRecord, task: Task, input: AbortRound, facts: TransitionFacts): RoundRecord {
  requireAttempt(round, input.attempt);
  if (round.state === 'aborted') {
    if (round.abortReason !== input.reason) {
      throw new ContractError('ROUND_CONFLICT', 'aborted before for another reason');
    }
    return round;
  }
  requireState(round, 'open', 'closed', 'cohort', 'scored', 'aggregated');
  const { reason, accused, statements } = input;
  const content = { reason, ...(accused === undefined ? {} : { accused }) };
  const statementOf = (mspId: string): AbortStatement => ({
    type: 'sev/abort-round/v1',
    consortium: facts.consortium,
    taskId: round.taskId,
    round: round.round,
    attempt: round.attempt,
    ...content,
    mspId,
  });
  const aborted: RoundRecord = { ...round, state: 'aborted', abortedAtMs: facts.nowMs, abortReason: reason };
  const isAccusation = reason === 'NOISE_FALSE' || accused !== undefined;
  if (!isAccusation && !namesHeParty(reason)) {
    requireAuthority(round, task, statements, facts, statementOf);
    return reason === 'DISPUTE_UNSETTLED' ? withSilent(aborted, silentArbiter(round, task, facts.nowMs)) : aborted;
  }
  const change = isAccusation ? { secure: secureWithAccused(round, input) } : {};
  if (!isAccusation && round.he === undefined) {
    throw new ContractError('ACCUSATION_INVALID', `reason ${reason}; the round does not run in mode he`);
  }
  requireMajority(validStatements(statements, facts.organisations, statementOf), facts.organisations);
  return { ...aborted, ...change };
}

/** The record with whose verdict was waited for. Attempts under the first rules do not keep it. */
function withSilent(aborted: RoundRecord, silent: readonly string[]): RoundRecord {
  const { secure } = aborted;
  return secure?.rules === undefined || silent.length === 0 ? aborted : { ...aborted, secure: { ...secure, silent } };
}

/** Noise is shown while the cohort is fixed and not scored. @throws ContractError ACCUSATION_INVALID, ROUND_STATE */
function secureWithAccused(round: RoundRecord, { reason, accused = [] }: AbortRound): SecureRound {
  const { secure } = round;
  const names = secure?.opening.aggregators.flatMap(({ mspId, noise }) => (noise === undefined ? [] : [mspId])) ?? [];
  const areNoisy = accused.length > 0 && accused.every((mspId) => names.includes(mspId));
  if (secure === undefined || reason !== 'NOISE_FALSE' || !isAscending(accused) || !areNoisy) {
    throw new ContractError('ACCUSATION_INVALID', `${accused.join(', ') || 'nobody'}; reason ${reason}`);
  }
  requireState(round, 'cohort');
  return { ...secure, accused: [...new Set([...secure.accused, ...accused])].sort() };
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

function currentModel(
  task: Task,
  round: number,
  previous: RoundRecord | undefined,
  correction: OpenFacts['correction'],
): string {
  if (round === 1) {
    return task.model.initialModelHash;
  }
  if (previous?.state !== 'finalised' || previous.proposal === undefined) {
    throw new ContractError('ROUND_OUT_OF_ORDER', `round ${round - 1} is not finalised`);
  }
  return correction?.modelHash ?? previous.proposal.modelHash;
}

/**
 * The organisations on whose authority a round goes on without everybody: a majority's, or the caller's alone when as
 * long as a round takes has gone by.
 *
 * @throws ContractError STATEMENTS_INSUFFICIENT, ROUND_DEADLINE_NOT_REACHED
 */
export function requireAuthority(
  round: RoundRecord,
  task: Task,
  statements: readonly SignedBy[],
  { callerMspId, nowMs, organisations }: TransitionFacts,
  statementOf: (mspId: string) => Signable,
): string[] {
  const valid = validStatements(statements, organisations, statementOf);
  const signers = valid.map(({ mspId }) => mspId);
  const aloneAfter = aloneAfterMs(round, task);
  if (nowMs > aloneAfter) {
    return [...new Set([...signers, callerMspId])].sort();
  }
  if (statements.length === 0) {
    throw new ContractError(
      'ROUND_DEADLINE_NOT_REACHED',
      `alone after ${aloneAfter}, before it with the statements of a majority`,
    );
  }
  requireMajority(valid, organisations);
  return signers;
}
