// SPDX-License-Identifier: Apache-2.0
import { INCIDENT_PROJECTIONS, type CohortRecord } from '@sev/chaincode/api';
import { project, projectionVectors, ringBytes, type HeldShare } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import { incidentSeed, openedDepth, type OpenedDepth, type VotedIncident } from '../incidents/voted.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import type { IncidentDisclosure } from './aggregator-client.js';
import { readSecrets } from './attempt-secrets.js';
import { valuesOf } from './cohort-work.js';
import { HeldReports } from './held-reports.js';
import type { AggregatorParts } from './parts.js';
import { overSinceMs } from './retention.js';

/** What is to be opened, all of it from the aggregator's own ledger. */
interface Opening {
  readonly incident: VotedIncident;
  readonly depth: OpenedDepth;
  readonly member: CohortRecord['members'][number];
}

/**
 * Opens of a disputed update what the votes on the incident allow, to any organisation, so that all of them can check it.
 * Which vehicle and which attempts these are is the ledger's to say; the caller names an incident and one of its attempts.
 *
 * @throws SevError INCIDENT_STATE, INCIDENT_INVALID, ROUND_STATE, ATTEMPT_UNKNOWN, SHARE_LOST; LedgerError INCIDENT_UNKNOWN.
 */
export async function discloseForIncident(
  parts: AggregatorParts,
  incidentId: string,
  ref: AttemptRef,
): Promise<IncidentDisclosure> {
  const { view, inbox, log } = parts;
  const opening = await allowed(parts, incidentId, ref);
  const folder = inbox.attempt(ref);
  const secrets = await readSecrets(folder);
  const { vehicleId, updateHash } = opening.member;
  const share = await new HeldReports(folder, secrets).get(vehicleId, updateHash);
  const place = { ...attemptOf(ref), consortium: await view.network(), baseModelHash: secrets.baseModelHash };
  log.warn({ ...attemptOf(ref), incidentId, vehicleId, opened: opening.depth }, 'opened a disputed update');
  if (opening.depth === 'vectors') {
    return wholeOf(share);
  }
  const task = await view.task(ref.taskId);
  const seed = incidentSeed(place.consortium, opening.incident, ref);
  const vectors = projectionVectors(seed, INCIDENT_PROJECTIONS, task.task.model.parameters);
  const values = valuesOf({ task, place }, vehicleId, share);
  const numbers = task.own.map((component): [string, string] => {
    const bytes = ringBytes(project(values(component), vectors));
    return [String(component), Buffer.from(bytes).toString('base64')];
  });
  return { kind: 'projections', seed, numbers: Object.fromEntries(numbers) };
}

async function allowed({ view }: AggregatorParts, incidentId: string, ref: AttemptRef): Promise<Opening> {
  const incident = await view.incident(incidentId);
  const depth = openedDepth(incident, ref);
  // While a round is under way its openings are those of its own steps.
  if (overSinceMs(ref, await view.roundIfAny(ref)) === undefined) {
    throw new SevError('ROUND_STATE', `${attemptKey(ref)} is not over`, { exitCode: EXIT.refused });
  }
  const members = await view.membersOf(ref);
  const member = members.find(({ vehicleId }) => vehicleId === incident.vehicleId);
  if (member === undefined) {
    throw new SevError('INCIDENT_INVALID', `${incident.vehicleId} is not in the cohort of ${attemptKey(ref)}`, {
      exitCode: EXIT.refused,
    });
  }
  return { incident, depth, member };
}

function wholeOf({ leaves, components }: HeldShare): IncidentDisclosure {
  return {
    kind: 'vectors',
    leaves,
    components: components.map(({ component, salt, content }) => ({
      component,
      salt: Buffer.from(salt).toString('hex'),
      content: Buffer.from(content).toString('base64'),
    })),
  };
}
