// SPDX-License-Identifier: Apache-2.0
import { ContractError, secureTermsProblem, type Organisation, type Task } from '../api';

/** @throws ContractError ARGUMENT_INVALID or RING_TOO_NARROW, naming the path, where the terms of secure aggregation break a rule. */
export function checkSecureTerms(task: Task): void {
  const broken = secureTermsProblem(task);
  if (broken !== undefined) {
    throw new ContractError(broken.code, `${broken.path}: ${broken.problem}`);
  }
}

/** @throws ContractError ORGANISATION_UNKNOWN for an aggregator that is not a member. */
export function checkAggregatorsAreMembers(task: Task, organisations: readonly Organisation[]): void {
  const stranger = task.secure?.aggregators.find((mspId) => !organisations.some((member) => member.mspId === mspId));
  if (stranger !== undefined) {
    throw new ContractError('ORGANISATION_UNKNOWN', `aggregator ${stranger}`);
  }
}
