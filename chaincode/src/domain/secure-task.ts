// SPDX-License-Identifier: Apache-2.0
import { ContractError, secureTermsProblem, type Organisation, type Task } from '../api';

/** @throws ContractError ARGUMENT_INVALID or RING_TOO_NARROW, naming the path, where the terms of secure aggregation break a rule. */
export function checkSecureTerms(task: Task): void {
  const broken = secureTermsProblem(task);
  if (broken !== undefined) {
    throw new ContractError(broken.code, `${broken.path}: ${broken.problem}`);
  }
}

/** @throws ContractError ORGANISATION_UNKNOWN for an aggregator or a validator that is not a member. */
export function checkSecureParties({ secure }: Task, organisations: readonly Organisation[]): void {
  const strangerAmong = (names: readonly string[]): string | undefined =>
    names.find((mspId) => !organisations.some((member) => member.mspId === mspId));
  const aggregator = strangerAmong(secure?.aggregators ?? []);
  if (aggregator !== undefined) {
    throw new ContractError('ORGANISATION_UNKNOWN', `aggregator ${aggregator}`);
  }
  const validator = strangerAmong(secure?.validation?.validators ?? []);
  if (validator !== undefined) {
    throw new ContractError('ORGANISATION_UNKNOWN', `validator ${validator}`);
  }
}
