// SPDX-License-Identifier: Apache-2.0
import { ContractError, type BaseRecord, type RoundRecord, type Task } from '../api';

/**
 * A model is the base of one task only, where updates are kept secret: vehicles that train from it again report the same
 * again, and budgets and the comparison of sums are a task's. Only a task's first model is judged, which its maker chose: a
 * running task is not stopped by whoever makes another of its newest model.
 *
 * @param base - the record of the task's initial model, where there is one.
 * @throws ContractError BASE_TAKEN
 */
export function requireOwnBase({ taskId, privacy }: Task, base: BaseRecord | undefined): void {
  if (privacy !== 'plain' && base !== undefined && base.taskId !== taskId) {
    throw new ContractError('BASE_TAKEN', `task ${base.taskId} has opened rounds on ${base.baseModelHash}`);
  }
}

/** What is to be written when a round is opened on a base that has no record yet. */
export function newBase({ taskId, baseModelHash }: RoundRecord): BaseRecord {
  return { docType: 'base', schemaVersion: 1, baseModelHash, taskId };
}
