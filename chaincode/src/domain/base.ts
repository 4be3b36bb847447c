// SPDX-License-Identifier: Apache-2.0
import { ContractError, keepsBase, type BaseRecord, type RoundRecord, type Task } from '../api';

/**
 * A model is the base of one task only, where updates are kept secret: vehicles that train from it again report the same
 * again, and budgets and the comparison of sums are a task's. So it is asked before a task begins with it, before a round
 * opens on it, and before projections and sums on it are shown.
 *
 * @param base - the model's record, where there is one.
 * @throws ContractError BASE_TAKEN
 */
export function requireOwnBase({ taskId, privacy }: Task, base: BaseRecord | undefined): void {
  if (privacy !== 'plain' && base !== undefined && base.taskId !== taskId) {
    throw new ContractError('BASE_TAKEN', `${base.baseModelHash} is the base of task ${base.taskId}`);
  }
}

/** The record of the model that a task begins with. */
export function begunBase({ taskId, model }: Task, nowMs: number): BaseRecord {
  return { ...newBase({ taskId, baseModelHash: model.initialModelHash }), begunAtMs: nowMs };
}

/** What is to be written when a round is opened on a base that has no record yet: earlier versions wrote it only then. */
export function newBase({ taskId, baseModelHash }: Pick<RoundRecord, 'taskId' | 'baseModelHash'>): BaseRecord {
  return { docType: 'base', schemaVersion: 1, baseModelHash, taskId };
}

/**
 * The record of the model that a round ended with, if it is to be written: its task goes on from it, unless another task has
 * it and {@link keepsBase} it. After a task's last round it is for another to begin with.
 *
 * @param base - the model's record, where there is one.
 * @param hasShown - whether the task of that record may have shown sums on it.
 */
export function madeBase(
  { privacy, plannedRounds }: Task,
  { taskId, round, proposal, closedAtMs }: RoundRecord,
  base: BaseRecord | undefined,
  hasShown: boolean,
): BaseRecord | undefined {
  if (privacy === 'plain' || proposal === undefined || round >= plannedRounds || base?.taskId === taskId) {
    return undefined;
  }
  const isKept = base !== undefined && keepsBase(base, closedAtMs, hasShown);
  return isKept ? undefined : newBase({ taskId, baseModelHash: proposal.modelHash });
}
