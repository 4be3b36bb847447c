// SPDX-License-Identifier: Apache-2.0
import { learning, registry, type LedgerSession } from '../ledger/index.js';

/** Whose history is asked for. */
export type HistoryTarget =
  | { readonly kind: 'vehicle'; readonly vehicleId: string; readonly taskId?: string }
  | { readonly kind: 'task'; readonly taskId: string }
  | { readonly kind: 'round'; readonly taskId: string; readonly round: number }
  | { readonly kind: 'model'; readonly taskId: string; readonly modelHash: string };

/** One thing that happened, oldest first. */
export interface HistoryEvent {
  readonly timestampMs: number;
  /** Empty where the ledger's answer does not carry it. */
  readonly txId: string;
  readonly deleted: boolean;
  readonly what: string;
  /** The record as it stood then. */
  readonly record: unknown;
}

/**
 * What the ledger's history says of a record: every version of a vehicle or round; a vehicle's updates where a task is
 * named; all rounds of a task; the chain of models down to the initial one.
 *
 * @throws LedgerError VEHICLE_UNKNOWN, TASK_UNKNOWN, ROUND_UNKNOWN, MODEL_UNKNOWN.
 */
export async function auditHistory(session: LedgerSession, target: HistoryTarget): Promise<HistoryEvent[]> {
  const events = await eventsOf(session, target);
  return events.sort((a, b) => a.timestampMs - b.timestampMs);
}

function eventsOf(session: LedgerSession, target: HistoryTarget): Promise<HistoryEvent[]> {
  switch (target.kind) {
    case 'vehicle':
      return vehicleEvents(session, target.vehicleId, target.taskId);
    case 'task':
      return taskEvents(session, target.taskId);
    case 'round':
      return roundEvents(session, target.taskId, target.round);
    case 'model':
      return modelEvents(session, target.taskId, target.modelHash);
  }
}

async function vehicleEvents(
  session: LedgerSession,
  vehicleId: string,
  taskId: string | undefined,
): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  await registry(session).vehicle(vehicleId);
  for await (const { timestampMs, txId, deleted, value } of registry(session).vehicleHistory(vehicleId)) {
    const what =
      value === null ? 'deleted' : `${value.status}${value.statusReason === '' ? '' : `: ${value.statusReason}`}`;
    events.push({ timestampMs, txId, deleted, what, record: value });
  }
  if (taskId !== undefined) {
    for await (const update of learning(session).vehicleUpdates(vehicleId, taskId)) {
      const what = `update ${update.updateHash.slice(0, 16)} in round ${taskId}/${String(update.round)}, attempt ${String(update.attempt)}`;
      events.push({ timestampMs: update.recordedAtMs, txId: '', deleted: false, what, record: update });
    }
  }
  return events;
}

async function taskEvents(session: LedgerSession, taskId: string): Promise<HistoryEvent[]> {
  const contract = learning(session);
  const record = await contract.task(taskId);
  const created = {
    timestampMs: record.createdAtMs,
    txId: '',
    deleted: false,
    what: `created by ${record.createdBy}`,
    record,
  };
  const events: HistoryEvent[] = [created];
  for await (const round of contract.rounds(taskId)) {
    events.push(...(await roundEvents(session, taskId, round.round)));
  }
  return events;
}

async function roundEvents(session: LedgerSession, taskId: string, round: number): Promise<HistoryEvent[]> {
  const contract = learning(session);
  await contract.round({ taskId, round });
  const events: HistoryEvent[] = [];
  for await (const { timestampMs, txId, deleted, value } of contract.roundHistory({ taskId, round })) {
    const name = `round ${String(round)}`;
    const outcome = value?.proposal === undefined ? '' : `, model ${value.proposal.modelHash.slice(0, 16)}`;
    const why = value?.state === 'aborted' ? `: ${value.abortReason ?? ''}` : outcome;
    const what = value === null ? `${name} deleted` : `${name}, attempt ${String(value.attempt)} ${value.state}${why}`;
    events.push({ timestampMs, txId, deleted, what, record: value });
  }
  return events;
}

async function modelEvents(session: LedgerSession, taskId: string, modelHash: string): Promise<HistoryEvent[]> {
  const contract = learning(session);
  const events: HistoryEvent[] = [];
  const seen = new Set<string>();
  for (let hash: string | null = modelHash; hash !== null && !seen.has(hash);) {
    seen.add(hash);
    const record = await contract.model(taskId, hash);
    const origin = record.round === 0 ? undefined : await contract.round({ taskId, round: record.round });
    const timestampMs = origin?.finalisedAtMs ?? (await contract.task(taskId)).createdAtMs;
    const from = record.round === 0 ? 'initial model' : `model of round ${String(record.round)}`;
    events.push({ timestampMs, txId: '', deleted: false, what: `${from}: ${hash.slice(0, 16)}`, record });
    hash = record.baseModelHash;
  }
  return events;
}
