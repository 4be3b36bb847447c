// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, keepsBase } from '@sev/chaincode/api';
import { baseKey, recordError, type DomainState, type DomainTransaction, type RecordWrite } from './domain-context.js';
import type { Audited } from './records.js';

type Base = Pick<Audited<'base'>, 'baseModelHash' | 'taskId' | 'begunAtMs'>;

/** Steps on a base that are taken by its own task only. */
const OWN_STEPS: ReadonlySet<string> = new Set(['learning:OpenRound', 'learning:FixCohort', 'learning:CommitSums']);

/**
 * Which task a model is the base of, where updates are kept secret, is written when a task is made to begin with it, when a
 * round ends with it, or when a correction keeps it. Earlier contracts wrote it when a round was first opened on it and never again, and before them none.
 */
export function checkBaseWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'base'>>[],
  {
    tasks,
    rounds,
    correction,
  }: {
    readonly tasks: readonly Audited<'task'>[];
    readonly rounds: readonly Audited<'round'>[];
    readonly correction: Audited<'correction'> | undefined;
  },
): void {
  const isOpening = transaction.name === 'learning:OpenRound';
  const written = writes.map(({ record: { baseModelHash, taskId, begunAtMs } }) =>
    baseOf(baseModelHash, taskId, begunAtMs),
  );
  state.claimsBases ||= written.length > 0 && !isOpening;
  for (const { taskId, privacy, baseModelHash, round } of OWN_STEPS.has(transaction.name) ? rounds : []) {
    if (state.claimsBases || (isOpening && round === 1)) {
      requireOwnBase(state, transaction, { taskId, privacy, baseModelHash });
    }
  }
  const expected = [
    ...tasks.flatMap(({ task }) => begunBase(task, transaction)),
    ...rounds.flatMap((round) => (isOpening ? openedBase(state, round) : madeBase(state, round))),
    ...(correction === undefined ? [] : correctedBase(state, correction)),
  ];
  const isEarlier = written.length === 0 && !state.claimsBases && (!isOpening || state.bases.size === 0);
  if (!isEarlier && canonicalJson(written) !== canonicalJson(expected)) {
    throw recordError(
      transaction,
      'RECORD_MALFORMED',
      'the task of a base is not the one that began with it, or made it',
    );
  }
  for (const base of written) {
    state.bases.set(base.baseModelHash, base);
  }
}

/** A task does not begin with, or go on from, a model that is another's. @throws AuditError BASE_TAKEN */
export function requireOwnBase(
  { bases }: DomainState,
  transaction: DomainTransaction,
  { taskId, privacy, baseModelHash }: Pick<Audited<'round'>, 'taskId' | 'privacy' | 'baseModelHash'>,
): void {
  const owner = bases.get(baseModelHash);
  if (privacy !== 'plain' && owner !== undefined && owner.taskId !== taskId) {
    throw recordError(transaction, 'BASE_TAKEN', `task ${taskId} works from the model of task ${owner.taskId}`);
  }
}

function baseOf(baseModelHash: string, taskId: string, begunAtMs?: number): Base {
  return { baseModelHash, taskId, ...(begunAtMs === undefined ? {} : { begunAtMs }) };
}

function begunBase({ taskId, privacy, model }: Audited<'task'>['task'], { timestampMs }: DomainTransaction): Base[] {
  return privacy === 'plain' ? [] : [baseOf(model.initialModelHash, taskId, timestampMs)];
}

function openedBase({ bases }: DomainState, { taskId, privacy, baseModelHash }: Audited<'round'>): Base[] {
  return privacy === 'plain' || bases.has(baseModelHash) ? [] : [baseOf(baseModelHash, taskId)];
}

/** The task goes on from what a correction keeps, unless its last round is over. */
function correctedBase({ bases, tasks }: DomainState, correction: Audited<'correction'>): Base[] {
  const { taskId, modelHash, afterRound } = correction;
  const isLast = afterRound >= (tasks.get(taskId)?.plannedRounds ?? 0);
  return isLast || bases.has(modelHash) ? [] : [baseOf(modelHash, taskId)];
}

function madeBase({ bases, tasks, shownSums }: DomainState, record: Audited<'round'>): Base[] {
  const { taskId, privacy, state, round, proposal, closedAtMs } = record;
  const isLast = round >= (tasks.get(taskId)?.plannedRounds ?? 0);
  if (privacy === 'plain' || state !== 'finalised' || proposal === undefined || isLast) {
    return [];
  }
  const { modelHash } = proposal;
  const base = bases.get(modelHash);
  const hasShown = base !== undefined && shownSums.has(baseKey(base));
  const isOthers = base !== undefined && base.taskId !== taskId && keepsBase(base, closedAtMs, hasShown);
  return base?.taskId === taskId || isOthers ? [] : [baseOf(modelHash, taskId)];
}
