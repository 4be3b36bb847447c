// SPDX-License-Identifier: Apache-2.0
import { exposureProblem, openedUpdatesOf, reopenedProblem, scoredWeights } from '@sev/chaincode/api';
import { attemptKey, recordError, type DomainState, type DomainTransaction } from './domain-context.js';
import type { Audited } from './records.js';

/** An update is opened by the votes on one incident. @throws AuditError INCIDENT_INVALID */
export function requireUnopened(
  state: DomainState,
  transaction: DomainTransaction,
  incident: Pick<Audited<'incident'>, 'taskId' | 'vehicleId' | 'incidentId' | 'disputed'>,
): void {
  const keys = incident.disputed.map((at) => attemptKey({ taskId: incident.taskId, ...at }));
  const opened = [...state.incidents.values()].flatMap(openedUpdatesOf);
  const problem = reopenedProblem(
    incident,
    opened.filter((one) => keys.includes(attemptKey(one))),
  );
  if (problem !== undefined) {
    throw recordError(transaction, 'INCIDENT_INVALID', problem);
  }
}

/** An update is opened where enough others remain in its sum. @throws AuditError INCIDENT_INVALID */
export function requireCover(
  state: DomainState,
  transaction: DomainTransaction,
  { taskId, vehicleId, disputed }: Pick<Audited<'incident'>, 'taskId' | 'vehicleId' | 'disputed'>,
): void {
  const task = state.tasks.get(taskId);
  const opened = [...state.incidents.values()].flatMap(openedUpdatesOf).filter(({ vectors }) => vectors);
  for (const at of disputed) {
    const key = attemptKey({ taskId, ...at });
    const [cohort, scores] = [state.cohorts.get(key), state.scores.get(key)];
    const known = opened.filter((one) => attemptKey(one) === key).map((one) => one.vehicleId);
    const problem =
      task?.secure === undefined || cohort === undefined || scores === undefined
        ? 'no sum of it is on record'
        : exposureProblem(
            vehicleId,
            scoredWeights(cohort, scores, task.secure.shardSize),
            new Set(known),
            task.cohort.minimum,
          );
    if (problem !== undefined) {
      throw recordError(transaction, 'INCIDENT_INVALID', `round ${String(at.round)}: ${problem}`);
    }
  }
}
