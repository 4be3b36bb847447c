// SPDX-License-Identifier: Apache-2.0
import { STEPS_IN, type IncidentRecord, type IncidentStep, type IncidentView } from '@sev/chaincode/api';
import type { Assessment } from '../incidents/assessment.js';
import type { Corrected } from '../incidents/correct.js';
import type { Evidence } from '../incidents/evidence.js';
import { counted } from '../report/plural.js';
import { renderTable } from '../report/summary.js';

/** Rounds in words: `3–7, 9`. */
export function roundsText(rounds: readonly number[]): string {
  const parts: string[] = [];
  for (let start = 0; start < rounds.length;) {
    let end = start;
    while (rounds[end + 1] === (rounds[end] ?? 0) + 1) {
      end++;
    }
    const [first, last] = [String(rounds[start]), String(rounds[end])];
    parts.push(first === last ? first : `${first}–${last}`);
    start = end + 1;
  }
  return parts.join(', ');
}

export function incidentsText(incidents: readonly IncidentRecord[]): string {
  if (incidents.length === 0) {
    return 'no incident was opened';
  }
  const rows = incidents.map(({ incidentId, taskId, vehicleId, state, disputed, openedBy, correctedAfter }) => [
    incidentId,
    taskId,
    vehicleId,
    correctedAfter === undefined ? state : `${state}, corrected`,
    roundsText(disputed.map(({ round }) => round)),
    openedBy,
  ]);
  return renderTable(['incident', 'task', 'vehicle', 'state', 'rounds', 'opened by'], rows, new Set());
}

export function incidentText(incident: IncidentView): string {
  const { incidentId, vehicleId, taskId, state, disputed, reason, openedBy, openedAtMs, suspicionMilli } = incident;
  const votes = incident.votes.map(({ step, mspId, approve, findingsHash, votedAtMs }) => {
    const about = findingsHash === undefined ? '' : ` (findings ${findingsHash.slice(0, 16)})`;
    return `  ${step.padEnd(12)} ${mspId.padEnd(20)} ${approve ? 'for' : 'against'}${about}  ${timeText(votedAtMs)}`;
  });
  return [
    `incident ${incidentId}: ${state}`,
    `vehicle ${vehicleId} of task ${taskId}, suspicion ${nats(suspicionMilli)} when it was opened`,
    `opened by ${openedBy} at ${timeText(openedAtMs)}: ${reason}`,
    `disputed: rounds ${roundsText(disputed.map(({ round }) => round))}`,
    ...(votes.length === 0 ? ['nobody has voted'] : ['votes', ...votes]),
    ...decisionLines(incident),
  ].join('\n');
}

function decisionLines(incident: IncidentView): string[] {
  const { state, decidedBy, findingsHash, correctedWith, correctedAfter } = incident;
  const taken = Object.entries(decidedBy).map(([step, by]) => `${step}: ${by.join(', ')}`);
  const next = STEPS_IN[state];
  const corrected =
    correctedWith === undefined
      ? `→ correct the model: sev incident correct ${incident.incidentId}`
      : `corrected after round ${String(correctedAfter)} with model ${correctedWith.slice(0, 16)}`;
  return [
    ...(taken.length === 0 ? [] : [`steps taken: ${taken.join('; ')}`]),
    ...(findingsHash === undefined ? [] : [`decided on findings ${findingsHash}`]),
    ...(next.length === 0 ? [] : [`→ may be voted on: ${next.join(', ')}; a majority decides, the regulator among it`]),
    ...(state === 'confirmed' ? [corrected] : []),
  ];
}

/** What was opened, and what it speaks for. */
export function evidenceText(evidence: Evidence, assessment: Assessment, path: string): string {
  const { findings, hash, lost, sources } = evidence;
  const because = new Map(assessment.updates.map((one) => [one.round, one]));
  const rows = findings.updates.map(({ round, attempt, cosineMilli, normMilli, weight, vectorHash }) => [
    String(round),
    String(attempt),
    evidence.hasReference ? (cosineMilli / 1_000).toFixed(3) : '–',
    (normMilli / 1_000).toFixed(3),
    String(weight),
    (vectorHash ?? 'projections').slice(0, 16),
    because.get(round)?.speaks ?? '',
    because.get(round)?.because ?? '',
  ]);
  const head = ['round', 'attempt', 'cosine', 'norm', 'weight', 'opened', 'speaks for', 'because'];
  const alone = sources.filter((one) => one.alone.length > 0).map(({ ref }) => ref.round);
  const refuted = [...new Set(sources.flatMap((one) => one.refuted))];
  const silent = new Map(sources.flatMap((one) => one.silent.map(({ mspId, message }) => [mspId, message])));
  return [
    renderTable(head, rows, new Set([0, 1, 2, 3, 4])),
    ...(alone.length === 0 ? [] : [`rests on one aggregator alone in rounds ${roundsText(alone)}`]),
    ...(refuted.length === 0 ? [] : [`gave something else than the vehicle committed to: ${refuted.join(', ')}`]),
    ...[...silent].map(([mspId, message]) => `${mspId} opened nothing: ${message}`),
    ...lost.map(({ round, message }) => `round ${String(round)} cannot be opened any more: ${message}`),
    assessment.summary,
    `findings ${hash}, kept in ${path}`,
  ].join('\n');
}

export function correctionText({ record, corrections, candidate, tried, losses, unmeasured }: Corrected): string {
  const rows = losses.map(({ mspId, rollbackLossMicro, candidateLossMicro }) => [
    mspId,
    lossText(rollbackLossMicro),
    lossText(candidateLossMicro),
  ]);
  const median = ['median', lossText(record.rollbackLossMicro), lossText(record.candidateLossMicro)];
  const { rollback, presentHash, parts } = corrections;
  const clean = record.cleanRound === 0 ? 'the initial model' : `the model of round ${String(record.cleanRound)}`;
  const out = parts.slice(parts.length - candidate.takenOut);
  const depths = tried.map(({ takenOut, lossMicro }) => `${String(takenOut)}: ${lossText(lossMicro)}`);
  return [
    `the model after round ${String(record.afterRound)} (${presentHash.slice(0, 16)}) is replaced by the ${record.kept}, ${record.modelHash.slice(0, 16)}`,
    `rollback  ${rollback.hash.slice(0, 16)}: ${clean}; ${rollback.distance.toFixed(4)} away from the model until now`,
    candidate.takenOut === 0
      ? 'candidate: none; the rollback stands'
      : `candidate ${candidate.hash.slice(0, 16)}: without the culprit's part in ${counted(out.length, 'round')}; ${candidate.distance.toFixed(4)} away`,
    ...out.map(
      ({ round, weight, ofWeights, moved }) =>
        `  round ${String(round)}: weight ${String(weight)} of ${String(ofWeights)} taken out, which alone had moved the model by ${moved.toFixed(4)}`,
    ),
    ...(depths.length < 2
      ? []
      : [`median loss by how many of the last rounds it is taken out of: ${depths.join(', ')}`]),
    'mean losses on validation data',
    renderTable(['organisation', 'rollback', 'candidate'], [...rows, median], new Set([1, 2])),
    ...unmeasured.map(({ mspId, message }) => `${mspId} has not measured: ${message}`),
  ].join('\n');
}

export function nats(milli: number): string {
  return `${(milli / 1_000).toFixed(2)} nats`;
}

function lossText(micro: number): string {
  return (micro / 1_000_000).toFixed(6);
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** What to do once a vote has taken its step. */
export function nextText(
  { incidentId, vehicleId, state, decidedBy }: Pick<IncidentRecord, 'incidentId' | 'vehicleId' | 'state' | 'decidedBy'>,
  step: IncidentStep,
): string {
  if (decidedBy[step] === undefined) {
    return ': no majority with the regulator yet';
  }
  const next: Partial<Record<IncidentRecord['state'], readonly string[]>> = {
    projections: [`sev incident evidence ${incidentId}`],
    vectors: [`sev incident evidence ${incidentId}`],
    confirmed: [
      `sev incident correct ${incidentId}`,
      `the ledger has revoked the vehicle; its CA and the channel follow with: sev network revoke ${vehicleId} --reason "incident ${incidentId}"`,
    ],
  };
  return (next[state] ?? []).map((line) => `\n→ ${line}`).join('');
}
