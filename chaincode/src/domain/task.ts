// SPDX-License-Identifier: Apache-2.0
import { ContractError, floorProblem, parameterCount, type Task } from '../api';
import { checkHeTerms } from './he-opening';
import { checkSecureTerms } from './secure-task';

/**
 * Checks what a schema cannot: that the parts of a task agree with each other.
 *
 * @throws ContractError ARGUMENT_INVALID, naming the path.
 */
export function checkTask(task: Task): void {
  const parameters = parameterCount(task.model.layers);
  if (task.model.parameters !== parameters) {
    throw new ContractError('ARGUMENT_INVALID', `model.parameters: these layers have ${parameters}`);
  }
  if (task.cohort.minimum > task.cohort.target) {
    throw new ContractError('ARGUMENT_INVALID', 'cohort.minimum: above cohort.target');
  }
  if (task.deadlines.graceMs > task.deadlines.roundMs) {
    throw new ContractError('ARGUMENT_INVALID', 'deadlines.graceMs: above deadlines.roundMs');
  }
  let before = 0;
  for (const { minSamples } of task.aggregation.weightClasses) {
    if (minSamples <= before) {
      throw new ContractError('ARGUMENT_INVALID', 'aggregation.weightClasses: minSamples must ascend');
    }
    before = minSamples;
  }
  checkSecureTerms(task);
  checkHeTerms(task);
  checkFloors(task);
}

/** One organisation alone makes a task, so what vehicles may count on is not its to choose. */
function checkFloors(task: Task): void {
  const below = floorProblem(task);
  if (below !== undefined) {
    throw new ContractError('TERMS_BELOW_FLOOR', `${below.path}: ${below.problem}`);
  }
}
