// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  ContractError,
  exposureProblem,
  majorityOf,
  needsFindings,
  reopenedProblem,
  scoredWeights,
  STEPS_IN,
  type CohortRecord,
  type CulpritRecord,
  type IncidentRecord,
  type IncidentState,
  type IncidentStep,
  type IncidentVote,
  type Member,
  type OpenedUpdateRecord,
  type OpenIncident,
  type RoundRecord,
  type ScoresRecord,
  type StandingRecord,
  type Task,
  type VoteIncident,
} from '../api';

/** What the ledger holds of one attempt that an incident disputes. */
export interface DisputedFacts {
  readonly round: RoundRecord | undefined;
  /** Of the attempt that is disputed. */
  readonly cohort: CohortRecord | undefined;
  /** What votes have opened of the vehicle's update in it. */
  readonly opened: OpenedUpdateRecord | undefined;
}

/**
 * @param facts - one an attempt that is disputed, in their order.
 * @returns the record to write, or the one on the ledger where the same was opened before.
 * @throws ContractError INCIDENT_CONFLICT, INCIDENT_INVALID
 */
export function openIncident(
  task: Task,
  input: OpenIncident,
  existing: IncidentRecord | undefined,
  facts: readonly DisputedFacts[],
  opened: {
    readonly by: string;
    readonly nowMs: number;
    readonly standing: StandingRecord | undefined;
  },
): IncidentRecord {
  if (existing !== undefined) {
    requireSame(existing, input);
    return existing;
  }
  insist(task.secure !== undefined, `nothing is shared among aggregators in mode ${task.privacy}`);
  const { disputed, vehicleId } = input;
  insist(
    disputed.every(({ round }, index) => index === 0 || (disputed[index - 1]?.round ?? 0) < round),
    'disputed: not ascending by round without repetition',
  );
  disputed.forEach(({ round, attempt }, index) => {
    const { round: record, cohort } = facts[index] ?? { round: undefined, cohort: undefined };
    const isFinal = record?.state === 'finalised' && record.attempt === attempt;
    insist(isFinal, `attempt ${attempt} did not finalise round ${round}`);
    const isMember = cohort?.members.some((member) => member.vehicleId === vehicleId) === true;
    insist(isMember, `${vehicleId} is not in the cohort of round ${round}`);
  });
  requireUnopened(
    input,
    facts.map(({ opened: known }) => known),
  );
  return {
    docType: 'incident',
    schemaVersion: 1,
    ...input,
    state: 'open',
    openedBy: opened.by,
    openedAtMs: opened.nowMs,
    suspicionMilli: opened.standing?.suspicionMilli ?? 0,
    ...(opened.standing === undefined ? {} : { scoresHash: opened.standing.last.scoresHash }),
    ...(opened.standing?.quarantined === undefined ? {} : { quarantinedIn: opened.standing.quarantined.round }),
    decidedBy: {},
  };
}

function requireSame(existing: IncidentRecord, { taskId, vehicleId, disputed, reason }: OpenIncident): void {
  const before = [existing.taskId, existing.vehicleId, existing.disputed, existing.reason];
  if (canonicalJson(before) !== canonicalJson([taskId, vehicleId, disputed, reason])) {
    throw new ContractError('INCIDENT_CONFLICT', existing.incidentId);
  }
}

/**
 * An organisation's vote on a step.
 *
 * @param existing - its vote on this step, where there is one.
 * @returns the vote to write, or the one on the ledger where it is the same; that is harmless in any state.
 * @throws ContractError INCIDENT_STATE, FINDINGS_MISSING
 */
export function castVote(
  incident: IncidentRecord,
  { step, approve, findingsHash }: VoteIncident,
  existing: IncidentVote | undefined,
  { mspId, admission }: Member,
  nowMs: number,
): IncidentVote {
  const { incidentId, state } = incident;
  const isSame =
    existing?.approve === approve && existing.findingsHash === findingsHash && existing.admission === admission;
  if (!STEPS_IN[state].includes(step)) {
    if (isSame) {
      return existing;
    }
    throw new ContractError('INCIDENT_STATE', `${incidentId} is ${state}; ${step} cannot be voted on`);
  }
  if (approve && needsFindings(step, state) && findingsHash === undefined) {
    throw new ContractError('FINDINGS_MISSING', `${step} of ${incidentId}, which is ${state}`);
  }
  if (isSame) {
    return existing;
  }
  return {
    docType: 'incidentVote',
    schemaVersion: 1,
    ...{ incidentId, step, mspId, approve },
    ...(findingsHash === undefined ? {} : { findingsHash }),
    admission,
    votedAtMs: nowMs,
  };
}

/**
 * An update is opened by one incident only, whatever other ones find.
 *
 * @param opened - what votes have opened of the vehicle's update in each attempt that is disputed.
 * @throws ContractError INCIDENT_INVALID
 */
export function requireUnopened(
  incident: Pick<IncidentRecord, 'vehicleId' | 'incidentId'>,
  opened: readonly (OpenedUpdateRecord | undefined)[],
): void {
  const known = opened.filter((record) => record !== undefined);
  const problem = reopenedProblem(incident, known);
  insist(problem === undefined, problem ?? '');
}

/**
 * An update is opened only where enough others remain in the sum that it is part of, which is known.
 *
 * @param opened - what votes have opened of the attempt.
 * @throws ContractError INCIDENT_INVALID
 */
export function requireCover(
  { secure, cohort: { minimum } }: Task,
  { vehicleId }: IncidentRecord,
  { cohort, scores }: { readonly cohort: CohortRecord; readonly scores: ScoresRecord },
  opened: readonly OpenedUpdateRecord[],
): void {
  const known = opened.filter(({ vectors }) => vectors).map((one) => one.vehicleId);
  const sum = scoredWeights(cohort, scores, secure?.shardSize ?? cohort.members.length);
  const problem = exposureProblem(vehicleId, sum, new Set(known), minimum);
  insist(problem === undefined, `round ${scores.scores.round}: ${problem ?? ''}`);
}

const STATE_AFTER: Readonly<Record<IncidentStep, IncidentState>> = {
  projections: 'projections',
  vectors: 'vectors',
  confirm: 'confirmed',
  clear: 'cleared',
};

/**
 * The incident after a vote: it takes the step where, with it, a majority of all members approves, among them one with the
 * role `auditor`. Votes to confirm or to clear add up where they name the same findings.
 *
 * @param votes - all that count on this step, the cast one among them.
 * @returns the same object where no step is taken.
 */
export function stepTaken(
  incident: IncidentRecord,
  cast: IncidentVote,
  votes: readonly IncidentVote[],
  members: readonly Member[],
  { txId, nowMs }: { readonly txId: string; readonly nowMs: number },
): IncidentRecord {
  const { step, findingsHash } = cast;
  if (!cast.approve || !STEPS_IN[incident.state].includes(step)) {
    return incident;
  }
  const isFinding = step === 'confirm' || step === 'clear';
  const approving = votes.filter((vote) => vote.approve && (!isFinding || vote.findingsHash === findingsHash));
  const names = approving.map(({ mspId }) => mspId).sort();
  const hasAuditor = members.some(({ mspId, roles }) => names.includes(mspId) && roles.includes('auditor'));
  if (names.length < majorityOf(members.length) || !hasAuditor) {
    return incident;
  }
  return {
    ...incident,
    state: STATE_AFTER[step],
    ...(step === 'projections' ? { projectionsTxId: txId } : {}),
    ...(isFinding ? { decidedAtMs: nowMs } : {}),
    ...(isFinding && findingsHash !== undefined ? { findingsHash } : {}),
    decidedBy: { ...incident.decidedBy, [step]: names },
  };
}

/**
 * What is kept of the vehicle of an incident that has just been confirmed.
 *
 * @param before - what an incident before has left.
 * @param lastFinalised - last finalised round of the task.
 */
export function culpritOf(
  { taskId, vehicleId, incidentId, decidedBy }: IncidentRecord,
  before: CulpritRecord | undefined,
  lastFinalised: number,
): CulpritRecord {
  const opened = decidedBy.vectors !== undefined;
  return before === undefined
    ? { docType: 'culprit', schemaVersion: 1, taskId, vehicleId, incidentId, afterRound: lastFinalised, opened }
    : { ...before, opened: before.opened || opened };
}

/** The standing of a vehicle that was cleared: it begins anew. */
export function clearedStanding({ quarantined: _quarantined, ...standing }: StandingRecord): StandingRecord {
  return { ...standing, suspicionMilli: 0 };
}

function insist(holds: boolean, problem: string): void {
  if (!holds) {
    throw new ContractError('INCIDENT_INVALID', problem);
  }
}
