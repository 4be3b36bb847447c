// SPDX-License-Identifier: Apache-2.0
import {
  TIME_MARGIN_MS,
  abortRound,
  aloneAfterMs,
  canonicalJson,
  closeRound,
  cohortHash,
  finaliseRound,
  heParties,
  heTermsProblem,
  modelParameters,
  proposalHash,
  secureTermsProblem,
  task as taskSchema,
  updateStatement,
  vehicleWordProblem,
  namesHeParty,
  type AbortStatement,
  type AttestationStatement,
  type CloseStatement,
  type Proposal,
} from '@sev/chaincode/api';
import { requireOwnBase } from './base-rules.js';
import {
  afterKey,
  attemptKey,
  consortiumOf,
  recordError,
  requireMajority,
  roundKey,
  standingKey,
  statementHolds,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import { checkHeEnd, checkHeOpening, checkHeStep } from './he-rules.js';
import type { Audited } from './records.js';
import { isAccusationPossible, secureAfterAbort } from './secure-abort-rules.js';
import { checkSecureOpening } from './secure-opening-rules.js';
import { checkSecureEnd, checkSecureStep, SECURE_STEPS } from './secure-rules.js';

type Round = Audited<'round'>;
type Update = Audited<'update'>;

function requireFittingModel(transaction: DomainTransaction, { taskId, model, engine }: Audited<'task'>['task']): void {
  const { lstm, layers, parameters } = model;
  if (modelParameters(model) !== parameters) {
    throw recordError(transaction, 'RECORD_MALFORMED', `task ${taskId} counts its parameters wrongly`);
  }
  if (lstm !== undefined && (lstm.units !== layers[0] || engine === 'dense')) {
    throw recordError(transaction, 'RECORD_MALFORMED', `task ${taskId} has an LSTM that does not fit`);
  }
}

/** A task is written once, as its creator asked for it. */
export function checkTaskWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'task'>>[],
): void {
  for (const { record, before } of writes) {
    const { task } = record;
    if (before !== undefined) {
      throw recordError(transaction, 'RECORD_OVERWRITTEN', `task ${task.taskId}`);
    }
    const asked = transaction.name === 'learning:CreateTask' ? taskSchema.parse(transaction.argument) : undefined;
    if (asked === undefined || canonicalJson(asked) !== canonicalJson(task)) {
      throw recordError(transaction, 'RECORD_MALFORMED', `task ${task.taskId} is not what was asked for`);
    }
    requireFittingModel(transaction, task);
    const broken = secureTermsProblem(task) ?? heTermsProblem(task);
    if (broken !== undefined) {
      throw recordError(transaction, 'RECORD_MALFORMED', `task ${task.taskId}: ${broken.path}: ${broken.problem}`);
    }
    const { taskId, privacy, model } = task;
    requireOwnBase(state, transaction, { taskId, privacy, baseModelHash: model.initialModelHash });
    const { organisations } = consortiumOf(state, transaction);
    const stranger = partiesOf(task).find((mspId) => !organisations.some((o) => o.mspId === mspId));
    if (stranger !== undefined) {
      throw recordError(transaction, 'RECORD_UNKNOWN', `organisation ${stranger} of task ${task.taskId}`);
    }
    if (task.deadlines.graceMs > task.deadlines.roundMs) {
      throw recordError(transaction, 'RECORD_MALFORMED', `task ${task.taskId} has a grace time beyond its deadline`);
    }
    state.tasks.set(task.taskId, task);
  }
}

/** Organisations that a task cannot do without. */
function partiesOf({ secure, he }: Audited<'task'>['task']): readonly string[] {
  const validators = secure?.validation?.validators ?? [];
  return he === undefined ? [...(secure?.aggregators ?? []), ...validators] : heParties(he);
}

/** Every update was signed by its vehicle for exactly this open round, while the vehicle was active. */
export function checkUpdateWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Update>[],
): void {
  for (const { record, before } of writes) {
    const where = `the update of ${record.vehicleId} in round ${attemptKey(record)}`;
    if (before !== undefined) {
      throw recordError(transaction, 'RECORD_OVERWRITTEN', where);
    }
    const problem = updateProblem(state, transaction, record);
    if (problem !== undefined) {
      throw recordError(transaction, 'UPDATE_INVALID', `${where}: ${problem}`);
    }
    const statement = updateStatement(consortiumOf(state, transaction).bootstrapHash, record);
    const vehicle = state.vehicles.get(record.vehicleId);
    if (vehicle === undefined || !statementHolds(state, statement, record.signature, vehicle.publicKey)) {
      throw recordError(transaction, 'UPDATE_SIGNATURE', where);
    }
    recordedUpdates(state, record).set(record.vehicleId, record);
    state.counts.updates += 1;
  }
}

function updateProblem(state: DomainState, transaction: DomainTransaction, update: Update): string | undefined {
  const round = state.rounds.get(roundKey(update));
  const task = state.tasks.get(update.taskId);
  const vehicle = state.vehicles.get(update.vehicleId);
  if (task === undefined || round === undefined || vehicle === undefined) {
    return 'task, round or vehicle is not on the ledger';
  }
  if (round.state !== 'open' || round.attempt !== update.attempt || round.baseModelHash !== update.baseModelHash) {
    return `attempt ${String(round.attempt)} was ${round.state} from base ${round.baseModelHash}`;
  }
  if (update.recordedAtMs !== transaction.timestampMs || update.recordedAtMs > round.deadlineMs + TIME_MARGIN_MS) {
    return 'it was recorded at another time, or after the deadline';
  }
  const ineligible = eligibilityProblem(state, vehicle, update.recordedAtMs);
  if (ineligible !== undefined) {
    return ineligible;
  }
  if (update.weightClass >= task.aggregation.weightClasses.length) {
    return `weight class ${String(update.weightClass)} is not one of the task's`;
  }
  if (state.standings.get(standingKey(update))?.quarantined !== undefined) {
    return 'the vehicle is in quarantine in this task';
  }
  if (recordedUpdates(state, update).has(update.vehicleId)) {
    return 'it has one already';
  }
  return wordProblem(state, round, update);
}

/** What is wrong with what a vehicle says of the base in its update. */
function wordProblem({ vehicleData }: DomainState, { secure }: Round, update: Update): string | undefined {
  const problem = vehicleWordProblem(secure?.drawn, update, vehicleData.get(standingKey(update)));
  return problem && `${problem.code}: ${problem.detail}`;
}

/** A vehicle takes part while it is active, its certificate in date, and its organisation a member that may hold vehicles. */
function eligibilityProblem(state: DomainState, vehicle: Audited<'vehicle'>, nowMs: number): string | undefined {
  if (vehicle.status !== 'active' || vehicle.certificateNotAfterMs <= nowMs) {
    return 'the vehicle was not active or its certificate had ended';
  }
  const organisation = state.consortium?.organisations.find((o) => o.mspId === vehicle.mspId);
  const mayHold = organisation?.roles.includes('vehicle') === true;
  return mayHold ? undefined : `${vehicle.mspId} was no member that may hold vehicles`;
}

function recordedUpdates(
  state: DomainState,
  ref: { readonly taskId: string; readonly round: number; readonly attempt: number },
): Map<string, Update> {
  const key = attemptKey(ref);
  const found = state.updates.get(key) ?? new Map<string, Update>();
  state.updates.set(key, found);
  return found;
}

/** What a batch says it accepted is what it, or an earlier transaction with the same content, wrote. */
export function checkBatchResults(
  state: DomainState,
  transaction: DomainTransaction,
  batches: readonly Audited<'enrollmentBatch' | 'updateBatch'>[],
  written: ReadonlySet<string>,
): void {
  for (const { docType, results } of batches) {
    const accepted = new Set(results.filter((r) => r.accepted).map((r) => r.id));
    const unreported = [...written].find((id) => !accepted.has(id));
    const isKnown = (id: string): boolean =>
      docType === 'enrollmentBatch' ? state.vehicles.has(id) : [...state.updates.values()].some((u) => u.has(id));
    const unwritten = [...accepted].find((id) => !written.has(id) && !isKnown(id));
    const wrong = unreported ?? unwritten;
    if (wrong !== undefined) {
      throw recordError(transaction, 'BATCH_RESULT', wrong);
    }
  }
}

/**
 * Follows each round through its states: open → closed → finalised, in a secure mode open → closed → cohort → scored →
 * aggregated → finalised; or aborted and opened again.
 */
export function checkRoundWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Round>[],
): void {
  for (const { record, before } of writes) {
    checkKept(state, transaction, record, before);
    const sameAttempt = before?.attempt === record.attempt && before.baseModelHash === record.baseModelHash;
    const from = sameAttempt ? before.state : 'none';
    checkStep(state, transaction, { record, before, from });
    state.rounds.set(roundKey(record), record);
  }
}

type Step = (state: DomainState, transaction: DomainTransaction, record: Round, before: Round) => void;

/** Steps that either mode takes; an attempt that aborts may do so from every state but the final ones. */
const STEPS: Readonly<Record<string, Step>> = {
  'open → closed by learning:CloseRound': checkClosed,
  ...Object.fromEntries(
    ['open', 'closed', 'cohort', 'scored', 'aggregated'].map((from) => [
      `${from} → aborted by learning:AbortRound`,
      checkAborted,
    ]),
  ),
};

const LAST_STEP = {
  plain: 'closed → finalised by learning:FinaliseRound',
  secure: 'aggregated → finalised by learning:FinaliseRound',
};

function checkStep(
  state: DomainState,
  transaction: DomainTransaction,
  { record, before, from }: RecordWrite<Round> & { readonly from: string },
): void {
  const taken = `${from} → ${record.state} by ${transaction.name}`;
  if (taken === 'none → open by learning:OpenRound') {
    checkOpened(state, transaction, record, before);
    return;
  }
  const mode = record.privacy === 'plain' ? 'plain' : 'secure';
  const step = taken === LAST_STEP[mode] ? checkFinalised : STEPS[taken];
  const checkModeStep = record.he === undefined ? checkSecureStep : checkHeStep;
  if (before !== undefined && step !== undefined) {
    step(state, transaction, record, before);
  } else if (before === undefined || !checkModeStep(taken, { state, transaction, record, before })) {
    const how = `from ${before?.state ?? 'nothing'} to ${record.state} by ${transaction.name}`;
    throw recordError(transaction, 'ROUND_TRANSITION', `round ${attemptKey(record)} went ${how}`);
  }
}

/** What an attempt was opened with stays as it is, and when it was closed: its end is judged by them. */
function checkKept(state: DomainState, transaction: DomainTransaction, record: Round, before: Round | undefined): void {
  const opening = ({ privacy, openedAtMs, openedBy, deadlineMs }: Round): string =>
    canonicalJson({ privacy, openedAtMs, openedBy, deadlineMs });
  if (before?.attempt !== record.attempt) {
    return;
  }
  if (opening(before) !== opening(record)) {
    throw recordError(transaction, 'RECORD_OVERWRITTEN', `round ${attemptKey(record)} changed how it was opened`);
  }
  if (before.closedAtMs !== undefined && before.closedAtMs !== record.closedAtMs) {
    throw recordError(transaction, 'RECORD_OVERWRITTEN', `round ${attemptKey(record)} changed when it was closed`);
  }
  const isSecureStep = SECURE_STEPS.has(transaction.name);
  const isAbort = transaction.name === 'learning:AbortRound';
  const kept =
    isAbort && before.secure !== undefined
      ? secureAfterAbort(before, {
          ...abortRound.parse(transaction.argument),
          task: taskOf(state, transaction, record.taskId),
          timestampMs: transaction.timestampMs,
        })
      : before.secure;
  const progress = (secure: Round['secure'], { he, stateSinceMs }: Round): string =>
    canonicalJson([secure ?? null, he ?? null, stateSinceMs ?? null]);
  if (!isSecureStep && progress(kept, before) !== progress(record.secure, record)) {
    const detail = `round ${attemptKey(record)} changed what its secure steps came to`;
    throw recordError(transaction, 'RECORD_OVERWRITTEN', detail);
  }
}

function taskOf(state: DomainState, transaction: DomainTransaction, taskId: string): Audited<'task'>['task'] {
  const task = state.tasks.get(taskId);
  if (task === undefined) {
    throw recordError(transaction, 'RECORD_UNKNOWN', `task ${taskId}`);
  }
  return task;
}

function checkOpened(
  state: DomainState,
  transaction: DomainTransaction,
  record: Round,
  before: Round | undefined,
): void {
  const task = taskOf(state, transaction, record.taskId);
  const isNext = before === undefined ? record.attempt === 1 : record.attempt === before.attempt + 1;
  if (!isNext || (before !== undefined && before.state !== 'aborted')) {
    throw recordError(transaction, 'ROUND_TRANSITION', `round ${attemptKey(record)} was opened out of order`);
  }
  if (record.round > task.plannedRounds) {
    const detail = `round ${attemptKey(record)} was opened; the task plans ${String(task.plannedRounds)}`;
    throw recordError(transaction, 'ROUND_TRANSITION', detail);
  }
  if (
    record.openedBy !== transaction.creatorMspId ||
    record.openedAtMs !== transaction.timestampMs ||
    record.deadlineMs !== record.openedAtMs + task.deadlines.roundMs
  ) {
    throw recordError(transaction, 'RECORD_MALFORMED', `round ${attemptKey(record)} is not what its task asks for`);
  }
  const previous = state.rounds.get(roundKey({ taskId: record.taskId, round: record.round - 1 }));
  checkSecureOpening({ state, transaction, record, before, previous, task });
  checkHeOpening({ state, transaction, record, before, previous, task });
  const correction = state.corrections.get(afterKey({ taskId: record.taskId, afterRound: record.round - 1 }));
  const base = record.round === 1 ? task.model.initialModelHash : (correction?.modelHash ?? modelOf(previous));
  if (base !== record.baseModelHash) {
    const expected = base ?? 'not finalised';
    throw recordError(transaction, 'MODEL_CHAIN', `round ${attemptKey(record)}: the model before it is ${expected}`);
  }
}

function modelOf(round: Round | undefined): string | undefined {
  return round?.state === 'finalised' ? round.proposal?.modelHash : undefined;
}

function checkClosed(state: DomainState, transaction: DomainTransaction, record: Round): void {
  const { statements } = closeRound.parse(transaction.argument);
  const { taskId, round, attempt } = record;
  if (record.closedAtMs !== transaction.timestampMs) {
    throw recordError(transaction, 'RECORD_MALFORMED', `round ${attemptKey(record)} was closed at another time`);
  }
  if (transaction.timestampMs <= record.deadlineMs + TIME_MARGIN_MS) {
    requireMajority(state, transaction, statements, (mspId): CloseStatement => ({
      type: 'sev/close-round/v1',
      consortium: consortiumOf(state, transaction).bootstrapHash,
      taskId,
      round,
      attempt,
      mspId,
    }));
  }
}

function checkAborted(state: DomainState, transaction: DomainTransaction, record: Round, before: Round): void {
  const asked = abortRound.parse(transaction.argument);
  const { statements, reason, accused } = asked;
  const { taskId, round, attempt } = record;
  if (record.abortReason !== reason) {
    const detail = `round ${attemptKey(record)} was aborted for another reason than was asked for`;
    throw recordError(transaction, 'RECORD_MALFORMED', detail);
  }
  if (!isAccusationPossible(before, asked)) {
    const names = accused?.join(', ') ?? 'nobody';
    throw recordError(transaction, 'ACCUSATION_INVALID', `round ${attemptKey(record)}: ${names}, for ${reason}`);
  }
  const mayBeAlone = accused === undefined && !namesHeParty(reason);
  if (!mayBeAlone || transaction.timestampMs <= aloneAfterMs(before, taskOf(state, transaction, taskId))) {
    requireMajority(state, transaction, statements, (mspId): AbortStatement => ({
      type: 'sev/abort-round/v1',
      consortium: consortiumOf(state, transaction).bootstrapHash,
      taskId,
      round,
      attempt,
      reason,
      ...(accused === undefined ? {} : { accused }),
      mspId,
    }));
  }
}

function checkFinalised(state: DomainState, transaction: DomainTransaction, record: Round, before: Round): void {
  const asked = finaliseRound.parse(transaction.argument);
  const { proposal, attestations } = record;
  const { taskId, round, attempt } = record;
  const where = `round ${attemptKey(record)}`;
  if (
    proposal === undefined ||
    attestations === undefined ||
    canonicalJson(proposal) !== canonicalJson(asked.proposal) ||
    attemptKey(proposal) !== attemptKey(record) ||
    proposal.baseModelHash !== record.baseModelHash
  ) {
    throw recordError(transaction, 'RECORD_MALFORMED', `${where}: the record is not what was proposed`);
  }
  const task = taskOf(state, transaction, taskId);
  const updates = [...recordedUpdates(state, record).values()];
  const scores = before.secure && checkSecureEnd({ state, transaction, record, before });
  const cohort = before.he && checkHeEnd({ state, transaction, record, before });
  if (record.privacy === 'plain') {
    checkCovered(transaction, task, proposal, updates);
  }
  const hash = proposalHash(proposal);
  requireMajority(state, transaction, attestations, (mspId): AttestationStatement => ({
    type: 'sev/attest-model/v1',
    consortium: consortiumOf(state, transaction).bootstrapHash,
    taskId,
    round,
    attempt,
    proposalHash: hash,
    mspId,
  }));
  state.finalised.push({ task, record, updates, ...(scores && { scores }), ...(cohort && { cohort }) });
  state.counts.rounds += 1;
}

/** In plain mode a proposal covers all recorded updates. */
function checkCovered(
  transaction: DomainTransaction,
  task: Audited<'task'>['task'],
  proposal: Proposal,
  updates: readonly Update[],
): void {
  const where = `round ${attemptKey(proposal)}`;
  const recorded = new Set(updates.map((u) => u.vehicleId));
  if (
    proposal.cohortHash !== cohortHash(updates) ||
    proposal.cohortSize !== updates.length ||
    proposal.excluded.some((e) => !recorded.has(e.vehicleId))
  ) {
    throw recordError(transaction, 'COHORT_MISMATCH', `${where} has ${String(updates.length)} recorded updates`);
  }
  const entered = updates.length - proposal.excluded.length;
  if (entered < task.cohort.minimum) {
    throw recordError(transaction, 'COHORT_MISMATCH', `${where}: ${String(entered)} updates are below the minimum`);
  }
}

/**
 * A model record says which round made it from which base; it is written with that round's end, or with the correction after
 * it, and once.
 */
export function checkModelWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'model'>>[],
): void {
  for (const { record, before } of writes) {
    const { taskId, round, modelHash, baseModelHash } = record;
    const where = `model ${modelHash} of ${roundKey(record)}`;
    if (before !== undefined) {
      throw recordError(transaction, 'RECORD_OVERWRITTEN', where);
    }
    const task = taskOf(state, transaction, taskId);
    const proposal = state.rounds.get(roundKey(record))?.proposal;
    const isInitial = round === 0 && baseModelHash === null && modelHash === task.model.initialModelHash;
    const isOutcome =
      proposal !== undefined && proposal.modelHash === modelHash && proposal.baseModelHash === baseModelHash;
    const correction = state.corrections.get(afterKey({ taskId, afterRound: round }));
    const isCorrected = correction?.modelHash === modelHash && correction.rollbackHash === baseModelHash;
    if (!isInitial && !isOutcome && !isCorrected) {
      throw recordError(transaction, 'MODEL_CHAIN', where);
    }
    state.models.set(`${taskId}/${modelHash}`, record);
    state.counts.models += 1;
  }
}
