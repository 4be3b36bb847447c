// SPDX-License-Identifier: Apache-2.0
import { ContractError, floorProblem, modelParameters, type Task } from '../api';
import { checkHeTerms } from './he-opening';
import { checkSecureTerms } from './secure-task';

/**
 * Checks what a schema cannot: that the parts of a task agree with each other.
 *
 * @throws ContractError ARGUMENT_INVALID, naming the path.
 */
export function checkTask(task: Task): void {
  checkModel(task);
  checkStatistics(task);
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

function checkModel({ model, engine }: Task): void {
  const parameters = modelParameters(model);
  if (model.parameters !== parameters) {
    throw new ContractError('ARGUMENT_INVALID', `model.parameters: this model has ${parameters}`);
  }
  if (model.lstm !== undefined && model.lstm.units !== model.layers[0]) {
    throw new ContractError('ARGUMENT_INVALID', 'model.layers: must begin with the units of the LSTM');
  }
  if (model.lstm !== undefined && engine === 'dense') {
    throw new ContractError('ARGUMENT_INVALID', 'engine: dense trains no LSTM');
  }
}

/** Statistics are plain means over vehicles: all weigh alike, and nothing but the sum makes the model. */
function checkStatistics({ kind, model, aggregation, secure, he }: Task): void {
  if (kind !== 'statistics') {
    return;
  }
  if (model.layers.length !== 2 || model.layers[1] !== 1 || model.lstm !== undefined) {
    throw new ContractError('ARGUMENT_INVALID', 'model.layers: statistics of d numbers have [d − 1, 1]');
  }
  if (aggregation.weightClasses.length !== 1) {
    throw new ContractError('ARGUMENT_INVALID', 'aggregation.weightClasses: statistics have one');
  }
  if (aggregation.server !== undefined) {
    throw new ContractError('ARGUMENT_INVALID', 'aggregation.server: statistics have none');
  }
  if ((secure ?? he)?.metrics.length) {
    throw new ContractError('ARGUMENT_INVALID', 'secure.metrics: statistics have none');
  }
}

/** One organisation alone makes a task, so what vehicles may count on is not its to choose. */
function checkFloors(task: Task): void {
  const below = floorProblem(task);
  if (below !== undefined) {
    throw new ContractError('TERMS_BELOW_FLOOR', `${below.path}: ${below.problem}`);
  }
}
