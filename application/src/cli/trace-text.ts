// SPDX-License-Identifier: Apache-2.0
import type { TracedIdentity } from '../auditor/trace/identity.js';
import type { IncidentTrace, TracedDispute } from '../auditor/trace/trace-incident.js';
import type { ModelTrace, TracedContributor } from '../auditor/trace/trace-model.js';
import type { TracedTask, VehicleTrace } from '../auditor/trace/trace-vehicle.js';
import { counted } from '../report/plural.js';
import { renderTable } from '../report/summary.js';
import { incidentText, nats, roundsText, timeText } from './incident-text.js';
import { units } from './rewards.js';

/** Contributors that a model's story shows; JSON has all. */
const SHOWN = 20;

function identityText(identity: TracedIdentity): string {
  const { vehicleId, enrolledBy, enrolledAtMs, makerKeyId, maker, status, statusReason, keyRotations } = identity;
  const why = statusReason === '' ? '' : ` (${statusReason})`;
  const keys = keyRotations === 0 ? '' : `; its key was changed ${counted(keyRotations, 'time')}`;
  return (
    `vehicle ${vehicleId}: enrolled by ${enrolledBy} at ${timeText(enrolledAtMs)}, ` +
    `its car attested by key ${makerKeyId} of ${maker}; ${status}${why}${keys}`
  );
}

export function modelTraceText(trace: ModelTrace): string {
  const { taskId, modelHash, rounds, corrections, contributors } = trace;
  const [newest] = rounds;
  if (newest === undefined) {
    return `model ${modelHash} is the one that task ${taskId} began with: nobody has trained it`;
  }
  const numbers = rounds.map(({ round }) => round).sort((a, b) => a - b);
  const departed = rounds.flatMap(({ round, departed: names }) =>
    names.map((mspId) => `${mspId} in round ${String(round)}`),
  );
  const attested = [...new Set(rounds.flatMap(({ attestedBy }) => attestedBy))].sort();
  const rows = contributors.slice(0, SHOWN).map(contributorRow);
  const head = ['vehicle', 'enrolled by', 'maker key', 'status', 'suspicion', 'rounds', 'share', 'gave', 'incidents'];
  const hidden = contributors.length - rows.length;
  const [first] = contributors;
  return [
    `model ${modelHash} of task ${taskId}, made by round ${String(newest.round)} at ${timeText(newest.finalisedAtMs)}`,
    `it comes from rounds ${roundsText(numbers)}; opened by ${namesOf(rounds, ({ openedBy }) => [openedBy])}, ` +
      `summed by ${namesOf(rounds, ({ aggregators }) => aggregators)}, recomputed and attested by ${attested.join(', ')}`,
    ...corrections.map(
      ({ afterRound, incidentId, kept }) =>
        `corrected after round ${String(afterRound)} by incident ${incidentId}: the ${kept} was kept` +
        (kept === 'candidate' ? takenOutText(incidentId, contributors) : ''),
    ),
    ...(departed.length === 0 ? [] : [`validators that departed from the others: ${departed.join(', ')}`]),
    `${counted(contributors.length, 'vehicle')} in it, the most suspicious first`,
    renderTable(head, rows, new Set([4, 6, 7])),
    ...(hidden > 0 ? [`and ${String(hidden)} more (--json has all)`] : []),
    ...(first === undefined || first.suspicionMilli === 0
      ? ['nobody in it is suspected']
      : [`→ ${[`sev audit trace ${first.vehicleId}`, ...disputing(taskId, contributors)].join('; ')}`]),
  ].join('\n');
}

/** A ledger keeps a candidate's hash and not how many rounds it takes the culprit out of; those shown are as they were. */
function takenOutText(incidentId: string, contributors: readonly TracedContributor[]): string {
  const culprit = contributors.find(({ incidents }) => incidents.some((one) => one.incidentId === incidentId));
  const whose = culprit === undefined ? 'the culprit' : culprit.vehicleId;
  return `, without the last that ${whose} had reported; below are rounds and shares as they were`;
}

/** The command that opens an incident about the most suspicious vehicle that none of the task is pending or confirmed about. */
function disputing(taskId: string, contributors: readonly TracedContributor[]): string[] {
  const open = contributors.find(
    ({ suspicionMilli, status, incidents }) =>
      suspicionMilli > 0 &&
      status !== 'revoked' &&
      incidents.every((one) => one.taskId !== taskId || one.state === 'cleared'),
  );
  return open === undefined ? [] : [`sev incident open --task ${taskId} --vehicle ${open.vehicleId}`];
}

function namesOf<T>(items: readonly T[], names: (item: T) => readonly string[]): string {
  const all = [...new Set(items.flatMap(names))].sort();
  return all.length === 0 ? 'nobody' : all.join(', ');
}

function contributorRow(one: TracedContributor): string[] {
  return [
    one.vehicleId,
    one.enrolledBy,
    one.makerKeyId,
    one.status,
    (one.suspicionMilli / 1_000).toFixed(2),
    roundsText(one.rounds),
    `${(one.shareMilli / 10).toFixed(1)} %`,
    (one.contributionMicro / 1_000_000).toFixed(4),
    one.incidents.map(({ incidentId, state }) => `${incidentId} (${state})`).join(', '),
  ];
}

export function vehicleTraceText({ identity, statuses, tasks, incidents }: VehicleTrace): string {
  return [
    identityText(identity),
    ...statuses.map(
      ({ timestampMs, txId, status, reason }) =>
        `  ${timeText(timestampMs)}  ${status}${reason === '' ? '' : `: ${reason}`}  (transaction ${txId.slice(0, 16)})`,
    ),
    ...(tasks.length === 0 ? ['it has reported to no task'] : tasks.flatMap(taskLines)),
    ...(incidents.length === 0
      ? ['no incident is about it']
      : incidents.map(({ incidentId, state, taskId }) => `incident ${incidentId} of task ${taskId}: ${state}`)),
  ].join('\n');
}

function taskLines({ taskId, updates, rounds, standing, rewards }: TracedTask): string[] {
  const rows = rounds.map((one) => [
    String(one.round),
    String(one.attempt),
    String(one.weight),
    one.reason ?? '',
    one.suspicionMilli === undefined ? '' : (one.suspicionMilli / 1_000).toFixed(2),
    one.contributionMicro === undefined ? '' : (one.contributionMicro / 1_000_000).toFixed(4),
    one.updateHash.slice(0, 16),
    one.modelHash.slice(0, 16),
  ]);
  const head = ['round', 'attempt', 'weight', 'reason', 'suspicion', 'gave', 'update', 'model'];
  const inModels = rounds.filter(({ weight }) => weight > 0).length;
  const quarantine =
    standing?.quarantined === undefined ? '' : `, in quarantine since round ${String(standing.quarantined.round)}`;
  return [
    `task ${taskId}: ${counted(updates, 'update')} recorded, ${counted(rounds.length, 'finalised round')}, counted in ${counted(inModels, 'model')}`,
    ...(rows.length === 0 ? [] : [renderTable(head, rows, new Set([0, 1, 2, 4, 5]))]),
    ...(standing === undefined ? [] : [`  suspicion ${nats(standing.suspicionMilli)}${quarantine}`]),
    ...(rewards === undefined
      ? []
      : [
          `  rewards: ${units(rewards.vestedMicro)} vested, ${units(rewards.pendingMicro)} pending, ${units(rewards.forfeitedMicro)} forfeited`,
        ]),
  ];
}

export function incidentTraceText(trace: IncidentTrace): string {
  const { incident, identity, disputes, hasFindings, models, correction, movements } = trace;
  const rows = disputes.map(disputeRow);
  const head = ['round', 'weight', 'suspicion', 'cosine', 'norm', 'opened', 'update', 'model'];
  const opened =
    incident.findingsHash === undefined || hasFindings
      ? []
      : ['the findings that decided it are not in this home: sev incident evidence shows what is opened'];
  return [
    incidentText(incident),
    identityText(identity),
    'disputed rounds',
    renderTable(head, rows, new Set([0, 1, 2, 3, 4])),
    ...opened,
    `it counted in ${counted(models.length, 'model')}${models.length === 0 ? '' : `: ${models.map((hash) => hash.slice(0, 16)).join(', ')}`}`,
    ...(correction === undefined
      ? []
      : [
          `since round ${String(correction.afterRound + 1)} the task goes on from the ${correction.kept} ${correction.modelHash.slice(0, 16)}, ` +
            `measured by ${correction.attestedBy.join(', ')}`,
        ]),
    ...movements.map(({ kind, round, amountMicro }) => `${kind} of ${units(amountMicro)} for round ${String(round)}`),
  ].join('\n');
}

function disputeRow({ finding, ...one }: TracedDispute): string[] {
  return [
    String(one.round),
    String(one.weight),
    one.suspicionMilli === undefined ? '' : (one.suspicionMilli / 1_000).toFixed(2),
    finding === undefined ? '' : (finding.cosineMilli / 1_000).toFixed(3),
    finding === undefined ? '' : (finding.normMilli / 1_000).toFixed(3),
    finding === undefined ? '' : (finding.vectorHash?.slice(0, 16) ?? 'projections'),
    one.updateHash.slice(0, 16),
    one.modelHash.slice(0, 16),
  ];
}
