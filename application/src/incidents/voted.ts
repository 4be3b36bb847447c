// SPDX-License-Identifier: Apache-2.0
import { hashOf, type IncidentRecord } from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';

/** How much of a disputed update votes have opened. */
export type OpenedDepth = 'projections' | 'vectors';

/** The fields of an incident that say what may be opened. */
export type VotedIncident = Pick<
  IncidentRecord,
  'incidentId' | 'taskId' | 'vehicleId' | 'disputed' | 'state' | 'decidedBy' | 'projectionsTxId'
>;

/**
 * What an incident's votes have opened of an attempt: further projections after the first vote, the update after the second.
 * Whether the vehicle was then found guilty adds nothing to it; once it is cleared, nothing is opened any more.
 *
 * @throws SevError INCIDENT_INVALID for an attempt that it does not dispute, INCIDENT_STATE where no vote opens anything.
 */
export function openedDepth(incident: VotedIncident, ref: AttemptRef): OpenedDepth {
  const { incidentId, taskId, disputed, state, decidedBy } = incident;
  const isDisputed =
    taskId === ref.taskId && disputed.some(({ round, attempt }) => round === ref.round && attempt === ref.attempt);
  if (!isDisputed) {
    throw refusal('INCIDENT_INVALID', `incident ${incidentId} does not dispute ${attemptKey(ref)}`);
  }
  if (state === 'open' || state === 'cleared') {
    throw refusal('INCIDENT_STATE', `incident ${incidentId} is ${state}: nothing is opened`);
  }
  if (decidedBy.vectors !== undefined) {
    return 'vectors';
  }
  if (decidedBy.projections === undefined) {
    throw refusal('INCIDENT_STATE', `no vote of incident ${incidentId} has opened anything`);
  }
  return 'projections';
}

/**
 * Seed of an incident's further projections of one attempt. The vote that opens them is part of it, so nobody knew it when
 * the updates were made.
 *
 * @param consortium the network's name.
 * @throws SevError INCIDENT_STATE before that vote.
 */
export function incidentSeed(consortium: string, incident: VotedIncident, ref: AttemptRef): string {
  const { incidentId, vehicleId, projectionsTxId } = incident;
  if (projectionsTxId === undefined) {
    throw refusal('INCIDENT_STATE', `no vote of incident ${incidentId} has opened projections`);
  }
  const place = { consortium, ...attemptOf(ref), incidentId, vehicleId };
  return hashOf({ type: 'sev/incident-seed/v1', ...place, projectionsTxId });
}

function refusal(code: string, message: string): SevError {
  return new SevError(code, message, { exitCode: EXIT.refused });
}
