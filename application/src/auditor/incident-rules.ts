// SPDX-License-Identifier: Apache-2.0
import {
  answersQuarantine,
  canonicalJson,
  majorityOf,
  needsFindings,
  openIncident,
  STEPS_IN,
  voteIncident,
  type IncidentState,
  type IncidentStep,
  type VoteIncident,
} from '@sev/chaincode/api';
import {
  attemptKey,
  consortiumOf,
  recordError,
  roundKey,
  standingKey,
  type CastVote,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import { requireCover, requireUnopened } from './opened-rules.js';
import type { Audited } from './records.js';

type Incident = Audited<'incident'>;

/** What transactions about incidents wrote. */
export interface IncidentWrites {
  readonly incidents: readonly RecordWrite<Incident>[];
  readonly votes: readonly RecordWrite<Audited<'incidentVote'>>[];
  readonly culprits: readonly RecordWrite<Audited<'culprit'>>[];
}

/** What a transaction must have written. */
interface Expected {
  readonly incidents: readonly Incident[];
  readonly votes: readonly Audited<'incidentVote'>[];
  readonly culprits: readonly Audited<'culprit'>[];
  /** The incident that it has just confirmed or cleared. */
  readonly decided?: Incident | undefined;
}

const NOTHING: Expected = { incidents: [], votes: [], culprits: [] };

/**
 * An incident is opened about a member of the cohorts that it disputes, takes a step by a majority among which is the
 * regulator, and is corrected once. What a vote does is written with it, no more and no less, and by nothing else.
 *
 * @param correction - that the transaction has just made.
 * @returns the incident that was confirmed or cleared.
 * @throws AuditError INCIDENT_INVALID
 */
export function checkIncidentWrites(
  state: DomainState,
  transaction: DomainTransaction,
  { incidents, votes, culprits }: IncidentWrites,
  correction: Audited<'correction'> | undefined,
): Incident | undefined {
  const expected = expectedBy(state, transaction, correction);
  const written = [incidents, votes, culprits].map((writes) => writes.map(({ record }) => record));
  if (canonicalJson(written) !== canonicalJson([expected.incidents, expected.votes, expected.culprits])) {
    throw incidentError(transaction, 'what was written of it does not follow from what was asked for');
  }
  expected.incidents.forEach((record) => state.incidents.set(record.incidentId, record));
  expected.culprits.forEach((record) => state.culprits.set(standingKey(record), record));
  expected.votes.forEach((record) => {
    const cast = { record, admission: admissionOf(state, record.mspId) };
    state.incidentVotes.set(record.incidentId, [...votesBut(state, record), cast]);
  });
  return expected.decided;
}

/** The last finalised round of an incident's task. Rounds follow one another without a gap. */
export function lastFinalised({ rounds }: DomainState, { taskId, disputed }: Incident): number {
  let last = disputed.at(-1)?.round ?? 0;
  while (rounds.get(roundKey({ taskId, round: last + 1 }))?.state === 'finalised') {
    last += 1;
  }
  return last;
}

/**
 * What is expected of the standing of a vehicle that was cleared: that it begins anew, unless it is a culprit or in a quarantine
 * that the incident does not speak of.
 */
export function clearedStandings(state: DomainState, decided: Incident | undefined): readonly Audited<'standing'>[] {
  const before = decided && state.standings.get(standingKey(decided));
  if (before === undefined || decided?.state !== 'cleared' || state.culprits.has(standingKey(decided))) {
    return [];
  }
  if (!answersQuarantine(decided, before)) {
    return [];
  }
  const { quarantined: _quarantined, ...standing } = before;
  return [{ ...standing, suspicionMilli: 0 }];
}

function expectedBy(
  state: DomainState,
  transaction: DomainTransaction,
  correction: Audited<'correction'> | undefined,
): Expected {
  switch (transaction.name) {
    case 'incidents:OpenIncident':
      return incidentOpened(state, transaction);
    case 'incidents:VoteIncident':
      return voteCast(state, transaction);
    case 'incidents:CorrectModel':
      return correction === undefined
        ? NOTHING
        : { ...NOTHING, incidents: [corrected(state, transaction, correction)] };
    default:
      return NOTHING;
  }
}

function incidentOpened(state: DomainState, transaction: DomainTransaction): Expected {
  const asked = openIncident.parse(transaction.argument);
  if (state.incidents.has(asked.incidentId)) {
    return NOTHING;
  }
  const { taskId, vehicleId, disputed } = asked;
  const isAscending = disputed.every(({ round }, index) => index === 0 || (disputed[index - 1]?.round ?? 0) < round);
  const isMember = disputed.every(({ round, attempt }) => {
    const record = state.rounds.get(roundKey({ taskId, round }));
    const members = state.cohorts.get(attemptKey({ taskId, round, attempt }))?.members ?? [];
    const isFinal = record?.state === 'finalised' && record.attempt === attempt;
    return isFinal && members.some((member) => member.vehicleId === vehicleId);
  });
  if (!isAscending || !isMember || state.tasks.get(taskId)?.secure === undefined) {
    throw incidentError(transaction, `${vehicleId} has no part in what ${asked.incidentId} disputes`);
  }
  requireUnopened(state, transaction, asked);
  const standing = state.standings.get(standingKey(asked));
  const record: Incident = {
    docType: 'incident',
    schemaVersion: 1,
    ...asked,
    state: 'open',
    openedBy: transaction.creatorMspId,
    openedAtMs: transaction.timestampMs,
    suspicionMilli: standing?.suspicionMilli ?? 0,
    ...(standing === undefined ? {} : { scoresHash: standing.last.scoresHash }),
    ...(standing?.quarantined === undefined ? {} : { quarantinedIn: standing.quarantined.round }),
    decidedBy: {},
  };
  return { ...NOTHING, incidents: [record] };
}

function voteCast(state: DomainState, transaction: DomainTransaction): Expected {
  const asked = voteIncident.parse(transaction.argument);
  const incident = incidentOf(state, transaction, asked.incidentId);
  const isSame = hasVotedSo(state, transaction.creatorMspId, asked);
  if (!STEPS_IN[incident.state].includes(asked.step) && isSame) {
    return NOTHING;
  }
  requireVotable(transaction, incident, asked);
  const votes = isSame ? [] : [voteOf(transaction, asked)];
  const next = asked.approve ? stepTaken(state, transaction, incident, asked) : undefined;
  if (next === undefined) {
    return { ...NOTHING, votes };
  }
  const culprits = next.state === 'confirmed' ? culpritsBy(state, next) : [];
  const isDecided = next.state === 'confirmed' || next.state === 'cleared';
  return { incidents: [next], votes, culprits, decided: isDecided ? next : undefined };
}

/** Whether an organisation's vote is on the ledger as it is, cast in its present membership. */
function hasVotedSo(state: DomainState, mspId: string, asked: VoteIncident): boolean {
  const existing = votesOn(state, asked).find(({ record }) => record.mspId === mspId);
  return (
    existing?.record.approve === asked.approve &&
    existing.record.findingsHash === asked.findingsHash &&
    existing.admission === admissionOf(state, mspId)
  );
}

function requireVotable(
  transaction: DomainTransaction,
  { incidentId, state }: Incident,
  { step, approve, findingsHash }: VoteIncident,
): void {
  const isBlind = approve && needsFindings(step, state) && findingsHash === undefined;
  if (!STEPS_IN[state].includes(step) || isBlind) {
    throw incidentError(transaction, `${step} of ${incidentId}, which was ${state}, was voted on`);
  }
}

function voteOf(
  { creatorMspId: mspId, timestampMs: votedAtMs }: DomainTransaction,
  { incidentId, step, approve, findingsHash }: VoteIncident,
): Audited<'incidentVote'> {
  const findings = findingsHash === undefined ? {} : { findingsHash };
  const type = { docType: 'incidentVote', schemaVersion: 1 } as const;
  return { ...type, incidentId, step, mspId, approve, ...findings, votedAtMs };
}

const STATE_AFTER: Readonly<Record<IncidentStep, IncidentState>> = {
  projections: 'projections',
  vectors: 'vectors',
  confirm: 'confirmed',
  clear: 'cleared',
};

/** @returns undefined where the approving are no majority of all members, or no auditor is among them. */
function stepTaken(
  state: DomainState,
  transaction: DomainTransaction,
  incident: Incident,
  { step, findingsHash }: VoteIncident,
): Incident | undefined {
  const { organisations } = consortiumOf(state, transaction);
  const isFinding = step === 'confirm' || step === 'clear';
  const approving = votesOn(state, { incidentId: incident.incidentId, step }).filter(
    ({ record, admission }) =>
      record.approve &&
      admission === admissionOf(state, record.mspId) &&
      (!isFinding || record.findingsHash === findingsHash),
  );
  const named = new Set([...approving.map(({ record }) => record.mspId), transaction.creatorMspId]);
  const members = organisations.filter(({ mspId }) => named.has(mspId));
  const hasAuditor = members.some(({ roles }) => roles.includes('auditor'));
  if (members.length < majorityOf(organisations.length) || !hasAuditor) {
    return undefined;
  }
  if (step === 'projections') {
    requireUnopened(state, transaction, incident);
  } else if (step === 'vectors') {
    requireCover(state, transaction, incident);
  }
  return {
    ...incident,
    state: STATE_AFTER[step],
    ...(step === 'projections' ? { projectionsTxId: transaction.txId } : {}),
    ...(isFinding ? { decidedAtMs: transaction.timestampMs } : {}),
    ...(isFinding && findingsHash !== undefined ? { findingsHash } : {}),
    decidedBy: { ...incident.decidedBy, [step]: members.map(({ mspId }) => mspId).sort() },
  };
}

function culpritsBy(state: DomainState, incident: Incident): readonly Audited<'culprit'>[] {
  const { taskId, vehicleId, incidentId, decidedBy } = incident;
  const opened = decidedBy.vectors !== undefined;
  const before = state.culprits.get(standingKey(incident));
  const afterRound = lastFinalised(state, incident);
  const first = { docType: 'culprit', schemaVersion: 1, taskId, vehicleId, incidentId, afterRound, opened } as const;
  return [before === undefined ? first : { ...before, opened: before.opened || opened }];
}

function corrected(
  state: DomainState,
  transaction: DomainTransaction,
  { incidentId, modelHash, afterRound }: Audited<'correction'>,
): Incident {
  const incident = incidentOf(state, transaction, incidentId);
  return { ...incident, correctedWith: modelHash, correctedAfter: afterRound };
}

/** @throws AuditError RECORD_UNKNOWN */
export function incidentOf({ incidents }: DomainState, transaction: DomainTransaction, incidentId: string): Incident {
  const incident = incidents.get(incidentId);
  if (incident === undefined) {
    throw recordError(transaction, 'RECORD_UNKNOWN', `incident ${incidentId}`);
  }
  return incident;
}

function votesOn(
  { incidentVotes }: DomainState,
  { incidentId, step }: Pick<VoteIncident, 'incidentId' | 'step'>,
): readonly CastVote[] {
  return (incidentVotes.get(incidentId) ?? []).filter(({ record }) => record.step === step);
}

/** All votes on an incident but the one that this one takes the place of. */
function votesBut({ incidentVotes }: DomainState, vote: Audited<'incidentVote'>): readonly CastVote[] {
  const isReplaced = ({ record }: CastVote): boolean => record.step === vote.step && record.mspId === vote.mspId;
  return (incidentVotes.get(vote.incidentId) ?? []).filter((cast) => !isReplaced(cast));
}

function admissionOf({ admissions }: DomainState, mspId: string): string {
  return admissions.get(mspId) ?? '';
}

function incidentError(transaction: DomainTransaction, detail: string) {
  return recordError(transaction, 'INCIDENT_INVALID', detail);
}
