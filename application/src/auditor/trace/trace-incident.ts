// SPDX-License-Identifier: Apache-2.0
import type { CorrectionRecord, IncidentFindings, IncidentView, JournalEntry } from '@sev/chaincode/api';
import { roundsOfVehicle, type RoundOfVehicle } from '../../incidents/suspected-rounds.js';
import { incidents, learning, registry, rewards } from '../../ledger/index.js';
import { correctionsOf } from '../../services/corrections.js';
import type { ServiceSession } from '../../services/rounds.js';
import { identityOfVehicle, type TracedIdentity } from './identity.js';

/** A disputed round: what the ledger says of the vehicle in it, and what was opened of its update. */
export interface TracedDispute extends RoundOfVehicle {
  readonly finding?: IncidentFindings['updates'][number];
}

/** All of an incident: from the suspicion to what came of it. */
export interface IncidentTrace {
  readonly kind: 'incident';
  readonly incident: IncidentView;
  readonly identity: TracedIdentity;
  readonly disputes: readonly TracedDispute[];
  /** Whether findings that the votes name were there to read; without them the opened evidence is only its hash. */
  readonly hasFindings: boolean;
  /** Models with a disputed update in them. */
  readonly models: readonly string[];
  readonly correction?: CorrectionRecord;
  /** Movements that followed from it. */
  readonly movements: readonly JournalEntry[];
}

type Session = Pick<ServiceSession, 'evaluate' | 'submit'>;

/**
 * @param findings as this organisation keeps them; they count only where the incident was decided on them.
 * @throws LedgerError INCIDENT_UNKNOWN.
 */
export async function traceIncident(
  session: Session,
  incidentId: string,
  findings?: { readonly hash: string; readonly findings: IncidentFindings },
): Promise<IncidentTrace> {
  const incident = await incidents(session).incident(incidentId);
  const { taskId, vehicleId, disputed, correctedAfter, findingsHash } = incident;
  const contract = learning(session);
  const [{ task }, identity, rounds] = await Promise.all([
    contract.task(taskId),
    identityOfVehicle(registry(session), vehicleId),
    roundsOfVehicle(contract, taskId, vehicleId),
  ]);
  const known = findings !== undefined && findings.hash === findingsHash ? findings.findings : undefined;
  const isDisputed = new Set(disputed.map(({ round }) => round));
  const disputes = rounds
    .filter(({ round }) => isDisputed.has(round))
    .map((round): TracedDispute => {
      const finding = known?.updates.find((update) => update.round === round.round);
      return finding === undefined ? round : { ...round, finding };
    });
  const correction = correctedAfter === undefined ? undefined : await correctionsOf(session)(task, correctedAfter);
  const statement = task.rewards === undefined ? undefined : await rewards(session).statement(taskId, vehicleId);
  return {
    ...{ kind: 'incident', incident, identity, disputes },
    hasFindings: known !== undefined,
    models: disputes.filter(({ weight }) => weight > 0).map(({ modelHash }) => modelHash),
    ...(correction === undefined ? {} : { correction }),
    movements: statement?.entries.filter(({ because }) => because === incidentId) ?? [],
  };
}
