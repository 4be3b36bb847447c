// SPDX-License-Identifier: Apache-2.0
import { canonicalJson } from '@sev/chaincode/api';
import { recordError, type DomainState, type DomainTransaction, type RecordWrite } from './domain-context.js';
import type { Audited } from './records.js';

/**
 * Which task a model is the base of is written when it first opens a round on it, where updates are kept secret, and never
 * again. Earlier contracts wrote no such records.
 */
export function checkBaseWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'base'>>[],
  rounds: readonly RecordWrite<Audited<'round'>>[],
): void {
  const opened = transaction.name === 'learning:OpenRound' ? rounds.map(({ record }) => record) : [];
  const expected = opened
    .filter(({ privacy, baseModelHash }) => privacy !== 'plain' && !state.bases.has(baseModelHash))
    .map(({ taskId, baseModelHash }) => ({ baseModelHash, taskId }));
  const written = writes.map(({ record: { baseModelHash, taskId } }) => ({ baseModelHash, taskId }));
  const isEarlier = state.bases.size === 0 && written.length === 0;
  if (!isEarlier && canonicalJson(written) !== canonicalJson(expected)) {
    throw recordError(
      transaction,
      'RECORD_MALFORMED',
      'the task of a base is not the one that opened a round on it first',
    );
  }
  for (const { baseModelHash, taskId } of written) {
    state.bases.set(baseModelHash, taskId);
  }
}

/** A task does not begin with a model that another worked from. @throws AuditError BASE_TAKEN */
export function requireOwnBase(
  { bases }: DomainState,
  transaction: DomainTransaction,
  { taskId, privacy, model }: Audited<'task'>['task'],
): void {
  const owner = bases.get(model.initialModelHash);
  if (privacy !== 'plain' && owner !== undefined && owner !== taskId) {
    throw recordError(transaction, 'BASE_TAKEN', `task ${taskId} begins with a model that task ${owner} worked from`);
  }
}
