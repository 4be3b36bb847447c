// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import {
  aloneAfterMs,
  cohortHash,
  findVehicles,
  hashOf,
  heOpeningHash,
  openingHash,
  majorityOf,
  parsePublicKey,
  proposalHash,
  publicKeyText,
  updateStatement,
  vehicleWordProblem,
  verifyStatement,
  type AbortRound,
  type AbortStatement,
  type AttestationStatement,
  type BatchResult,
  type CloseRound,
  type CloseStatement,
  type CohortRecord,
  type ConsortiumRecord,
  type CulpritRecord,
  type CorrectionRecord,
  type Envelope,
  type FinaliseRound,
  type HeRound,
  type IncidentRecord,
  type ItemResult,
  type LedgerEvent,
  type OpenRound,
  type RecordUpdate,
  type RecordUpdates,
  type ReceiptRecord,
  type RoundRecord,
  type ScoresRecord,
  type StandingRecord,
  type VehicleDataRecord,
  type SecureRound,
  type Signable,
  type SignedBy,
  type Task,
  type UpdateRecord,
  type VehicleRecord,
  type VehicleStatus,
} from '@sev/chaincode/api';
import { LedgerError } from '../ledger/errors.js';
import type { Submitted } from '../ledger/session.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import type { ServiceSession } from '../services/rounds.js';
import { EventLog } from './event-log.js';

export interface FakeLedgerOptions {
  /** The network's name in signed statements. */
  readonly consortium: string;
  readonly task: Task;
  readonly organisations: ConsortiumRecord['organisations'];
  /** Public key by vehicle id. */
  readonly vehicles: ReadonlyMap<string, KeyObject>;
  readonly now?: () => number;
}

/** Run around every submitted transaction; throwing in `before` loses it, in `after` hides that it was committed. */
export interface Hooks {
  before?: (transaction: string) => void;
  /** Before a query. */
  asked?: (transaction: string) => void;
  after?: (transaction: string) => void;
}

interface Done {
  readonly result: unknown;
  readonly event?: LedgerEvent;
}

/** What queries name beside an attempt. */
interface Asked {
  readonly modelHash: string;
  readonly incidentId: string;
  readonly afterRound: number;
}

/**
 * The learning contract as far as the services use it, in memory and at once: one transaction a block, events in order.
 * It checks what the contract checks, so that a service that would be refused is refused here too.
 */
export class FakeLedger {
  readonly transactions: string[] = [];
  /** Every update ever written, with repetitions if there were any. */
  readonly writtenUpdates: UpdateRecord[] = [];
  readonly rounds = new Map<number, RoundRecord>();
  /** Cohorts and scores of secure rounds, by attempt; tests fix them. */
  readonly cohorts = new Map<string, CohortRecord>();
  readonly scores = new Map<string, ScoresRecord>();
  /** Data that vehicles said something of before, by vehicle. */
  readonly vehicleData = new Map<string, Pick<VehicleDataRecord, 'dataHash'>>();
  /** What vehicles are suspected of, by incident; tests take them on. */
  readonly incidents = new Map<string, IncidentRecord>();
  /** By the round that they follow. */
  readonly corrections = new Map<number, CorrectionRecord>();
  /** Shown receipts. */
  readonly receipts: ReceiptRecord[] = [];
  /** What vehicles are suspected of. */
  readonly standings: Pick<StandingRecord, 'vehicleId' | 'quarantined'>[] = [];
  /** Vehicles that incidents were confirmed about. */
  readonly culprits: CulpritRecord[] = [];
  /** Of vehicles that are not active. */
  readonly statuses = new Map<string, VehicleStatus>();
  readonly #options: FakeLedgerOptions;
  readonly #updates = new Map<string, Map<string, UpdateRecord>>();
  readonly #models = new Set<string>();
  readonly #log = new EventLog();

  constructor(options: FakeLedgerOptions) {
    this.#options = options;
    this.#models.add(options.task.model.initialModelHash);
  }

  /** A session of this organisation; the enrollment id matters to RecordUpdate only. */
  session(mspId: string, hooks: Hooks = {}, enrollmentId = 'coordinator'): ServiceSession {
    return {
      mspId,
      evaluate: async (_contract, transaction, argument) => {
        await Promise.resolve();
        hooks.asked?.(transaction);
        return this.#evaluate(transaction, argument as never);
      },
      submit: async (_contract, transaction, argument) => {
        await Promise.resolve();
        hooks.before?.(transaction);
        const submitted = this.#submit(transaction, argument, mspId, enrollmentId);
        hooks.after?.(transaction);
        await Promise.resolve();
        return submitted;
      },
      events: (options) => this.#log.follow(options?.signal),
    };
  }

  updates(ref: AttemptRef): UpdateRecord[] {
    const records = [...(this.#updates.get(attemptKey(ref))?.values() ?? [])];
    return records.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  }

  /** Takes a round on, as transactions of the secure modes do that this ledger does not check. */
  advance(ref: AttemptRef, change: Partial<RoundRecord>, secure: Partial<SecureRound> = {}): RoundRecord {
    const round = this.#attempt(ref);
    const advanced = {
      ...round,
      ...change,
      ...(round.secure === undefined ? {} : { secure: { ...round.secure, ...secure } }),
    };
    this.rounds.set(ref.round, advanced);
    return advanced;
  }

  /** Tells everybody who listens of an event. */
  announce(event: LedgerEvent): void {
    this.#emit(event, hashOf([event, this.#log.events.length]));
  }

  #evaluate(transaction: string, argument: AttemptRef & Asked): unknown {
    const { task } = this.#options;
    switch (transaction) {
      case 'GetConsortium':
        return this.#consortium();
      case 'FindVehicles':
        return this.#vehicles(argument);
      case 'GetTask':
        return argument.taskId === task.taskId ? { task } : refuse('TASK_UNKNOWN', argument.taskId);
      case 'ListTasks':
        return { items: [{ task }], bookmark: '' };
      case 'GetRound':
        return this.#round(argument);
      case 'ListRounds':
        return { items: [...this.rounds.values()], bookmark: '' };
      case 'ListUpdates':
        return { items: this.updates(argument), bookmark: '' };
      case 'GetModel':
        return this.#models.has(argument.modelHash)
          ? { modelHash: argument.modelHash, taskId: task.taskId }
          : refuse('MODEL_UNKNOWN', argument.modelHash);
      default:
        return this.#evaluateSecure(transaction, argument);
    }
  }

  #evaluateSecure(transaction: string, argument: AttemptRef & Asked): unknown {
    switch (transaction) {
      case 'GetCohort':
        return this.cohorts.get(attemptKey(argument)) ?? refuse('COHORT_UNKNOWN', attemptKey(argument));
      case 'ListReceipts':
        return { items: this.receipts, bookmark: '' };
      case 'ListStandings':
        return { items: this.standings, bookmark: '' };
      case 'ListCulprits':
        return this.culprits;
      case 'GetScores':
        return this.scores.get(attemptKey(argument)) ?? refuse('SCORES_UNKNOWN', attemptKey(argument));
      case 'ListIncidents':
        return { items: [...this.incidents.values()], bookmark: '' };
      case 'GetIncident':
        return this.incidents.get(argument.incidentId) ?? refuse('INCIDENT_UNKNOWN', argument.incidentId);
      case 'GetCorrection':
        return this.corrections.get(argument.afterRound) ?? refuse('CORRECTION_UNKNOWN', String(argument.afterRound));
      default:
        return refuse('ARGUMENT_INVALID', transaction);
    }
  }

  #vehicles(argument: unknown): Partial<VehicleRecord>[] {
    const { success, data } = findVehicles.safeParse(argument);
    return (success ? data.vehicleIds : refuse('ARGUMENT_INVALID', 'vehicleIds')).flatMap((vehicleId) => {
      const key = this.#options.vehicles.get(vehicleId);
      const status = this.statuses.get(vehicleId) ?? 'active';
      return key === undefined ? [] : { vehicleId, domain: 'learning', status, publicKey: publicKeyText(key) };
    });
  }

  #consortium(): Omit<ConsortiumRecord, 'makers' | 'policy'> {
    const { consortium: bootstrapHash, organisations } = this.#options;
    return { docType: 'consortium', schemaVersion: 1, bootstrapHash, organisations };
  }

  #submit(transaction: string, argument: unknown, mspId: string, enrollmentId: string): Submitted {
    const done = this.#execute(transaction, argument, mspId, enrollmentId);
    this.transactions.push(transaction);
    const blockNumber = BigInt(this.transactions.length);
    const transactionId = hashOf([transaction, this.transactions.length]);
    if (done.event !== undefined) {
      this.#emit(done.event, transactionId);
    }
    return { result: done.result, transactionId, blockNumber, attempts: 1 };
  }

  #emit(event: LedgerEvent, transactionId: string): void {
    this.#log.emit({ event, transactionId, blockNumber: BigInt(this.transactions.length) });
  }

  #execute(transaction: string, argument: unknown, mspId: string, enrollmentId: string): Done {
    switch (transaction) {
      case 'OpenRound':
        return this.#open(argument as OpenRound, mspId);
      case 'RecordUpdates':
        return this.#recordBatch(argument as RecordUpdates);
      case 'RecordUpdate':
        return this.#recordOne(argument as RecordUpdate, enrollmentId);
      case 'CloseRound':
        return this.#close(argument as CloseRound, mspId);
      case 'AbortRound':
        return this.#abort(argument as AbortRound, mspId);
      case 'FinaliseRound':
        return this.#finalise(argument as FinaliseRound);
      default:
        return refuse('ARGUMENT_INVALID', transaction);
    }
  }

  #open(input: OpenRound, mspId: string): Done {
    const { task } = this.#options;
    const current = this.rounds.get(input.round);
    if (current?.attempt === input.attempt) {
      return current.baseModelHash === input.baseModelHash ? { result: current } : refuse('ROUND_CONFLICT', 'base');
    }
    const base = this.#baseOf(input.round);
    if (base === undefined || input.attempt !== (current?.attempt ?? 0) + 1) {
      refuse('ROUND_OUT_OF_ORDER', 'round or attempt');
    }
    if (current !== undefined && current.state !== 'aborted') {
      refuse('ROUND_STATE', current.state);
    }
    if (input.round > task.plannedRounds) {
      refuse('ROUND_OUT_OF_ORDER', 'not planned');
    }
    if (base !== input.baseModelHash) {
      refuse('BASE_MODEL_MISMATCH', base);
    }
    const nowMs = this.#nowMs();
    return this.#save('RoundOpened', {
      docType: 'round',
      schemaVersion: 2,
      taskId: task.taskId,
      round: input.round,
      attempt: input.attempt,
      state: 'open',
      privacy: task.privacy,
      baseModelHash: input.baseModelHash,
      openedBy: mspId,
      openedAtMs: nowMs,
      deadlineMs: nowMs + task.deadlines.roundMs,
      ...openedRound(task, input),
    });
  }

  #baseOf(round: number): string | undefined {
    const model = this.corrections.get(round - 1)?.modelHash ?? this.rounds.get(round - 1)?.proposal?.modelHash;
    return round === 1 ? this.#options.task.model.initialModelHash : model;
  }

  #recordBatch(input: RecordUpdates): Done {
    const round = this.#accepting(input);
    const seen = new Set<string>();
    const results = input.envelopes.map((envelope): ItemResult => {
      const id = envelope.vehicleId;
      try {
        if (seen.has(id)) {
          refuse('UPDATE_DUPLICATE', 'in the batch');
        }
        this.#record(round, envelope);
        seen.add(id);
        return { id, accepted: true };
      } catch (error) {
        const { code, message } = error as LedgerError;
        return { id, accepted: false, code: code as never, detail: message };
      }
    });
    const result: BatchResult = { docType: 'updateBatch', schemaVersion: 1, txId: '', results };
    return { result, event: recordedEvent(round, results.filter((r) => r.accepted).length, results.length) };
  }

  #recordOne(input: RecordUpdate, enrollmentId: string): Done {
    const round = this.#accepting(input);
    if (enrollmentId !== input.envelope.vehicleId) {
      refuse('ACCESS_DENIED', 'own updates only');
    }
    return { result: this.#record(round, input.envelope), event: recordedEvent(round, 1, 1) };
  }

  #record(round: RoundRecord, envelope: Envelope): UpdateRecord {
    const { taskId, attempt, baseModelHash } = round;
    const { signature, ...own } = envelope;
    const key = this.#options.vehicles.get(envelope.vehicleId) ?? refuse('VEHICLE_UNKNOWN', envelope.vehicleId);
    if (this.statuses.has(envelope.vehicleId)) {
      refuse('VEHICLE_NOT_ACTIVE', envelope.vehicleId);
    }
    const place = { taskId, round: round.round, attempt, baseModelHash };
    const statement = updateStatement(this.#options.consortium, { ...place, ...own });
    const { type: _type, consortium: _network, ...content } = statement;
    if (!verifyStatement(statement, signature, key)) {
      refuse('SIGNATURE_INVALID', envelope.vehicleId);
    }
    const records = this.#updates.get(attemptKey(round)) ?? new Map<string, UpdateRecord>();
    const existing = records.get(envelope.vehicleId);
    if (existing !== undefined) {
      return existing.updateHash === envelope.updateHash ? existing : refuse('UPDATE_DUPLICATE', envelope.vehicleId);
    }
    const problem = vehicleWordProblem(round.secure?.drawn, envelope, this.vehicleData.get(envelope.vehicleId));
    if (problem !== undefined) {
      refuse(problem.code, problem.detail);
    }
    const record: UpdateRecord = {
      docType: 'update',
      schemaVersion: 1,
      ...content,
      signature,
      recordedAtMs: this.#nowMs(),
    };
    records.set(envelope.vehicleId, record);
    this.#updates.set(attemptKey(round), records);
    this.writtenUpdates.push(record);
    return record;
  }

  #accepting(input: AttemptRef & { baseModelHash: string }): RoundRecord {
    const round = this.#round(input);
    if (round.attempt !== input.attempt || round.baseModelHash !== input.baseModelHash) {
      refuse('ROUND_STALE', attemptKey(input));
    }
    return round.state === 'open' ? round : refuse('ROUND_STATE', round.state);
  }

  #close(input: CloseRound, mspId: string): Done {
    const round = this.#attempt(input);
    if (round.state === 'closed' || round.state === 'finalised') {
      return { result: round };
    }
    if (round.state !== 'open') {
      refuse('ROUND_STATE', round.state);
    }
    const content = this.#signedFor(round);
    const closedBy = this.#authority(round, input.statements, mspId, (signer): CloseStatement => ({
      type: 'sev/close-round/v1',
      ...content,
      mspId: signer,
    }));
    return this.#save('RoundClosed', { ...round, state: 'closed', closedAtMs: this.#nowMs(), closedBy });
  }

  #abort(input: AbortRound, mspId: string): Done {
    const round = this.#attempt(input);
    const { reason } = input;
    if (round.state === 'aborted') {
      return round.abortReason === reason ? { result: round } : refuse('ROUND_CONFLICT', 'aborted');
    }
    if (round.state === 'finalised') {
      refuse('ROUND_STATE', round.state);
    }
    const content = { ...this.#signedFor(round), reason };
    this.#authority(round, input.statements, mspId, (signer): AbortStatement => ({
      type: 'sev/abort-round/v1',
      ...content,
      mspId: signer,
    }));
    return this.#save('RoundAborted', { ...round, state: 'aborted', abortedAtMs: this.#nowMs(), abortReason: reason });
  }

  #finalise(input: FinaliseRound): Done {
    const { proposal, attestations } = input;
    const round = this.#attempt(proposal);
    if (round.state === 'finalised') {
      return round.proposal !== undefined && proposalHash(round.proposal) === proposalHash(proposal)
        ? { result: round }
        : refuse('ROUND_CONFLICT', 'finalised');
    }
    if (round.state !== 'closed') {
      refuse('ROUND_STATE', round.state);
    }
    const updates = this.updates(round);
    if (proposal.cohortSize !== updates.length || proposal.cohortHash !== cohortHash(updates)) {
      refuse('COHORT_MISMATCH', 'cohort');
    }
    const content = { ...this.#signedFor(round), proposalHash: proposalHash(proposal) };
    this.#majority(attestations, (mspId): AttestationStatement => ({ type: 'sev/attest-model/v1', ...content, mspId }));
    this.#models.add(proposal.modelHash);
    return this.#save('RoundFinalised', {
      ...round,
      state: 'finalised',
      finalisedAtMs: this.#nowMs(),
      proposal,
      attestations,
    });
  }

  #signedFor({ taskId, round, attempt }: RoundRecord): AttemptRef & { readonly consortium: string } {
    return { consortium: this.#options.consortium, taskId, round, attempt };
  }

  #authority(
    round: RoundRecord,
    statements: readonly SignedBy[],
    mspId: string,
    statementOf: (mspId: string) => Signable,
  ): string[] {
    if (this.#nowMs() > aloneAfterMs(round, this.#options.task)) {
      return [mspId];
    }
    if (statements.length === 0) {
      refuse('ROUND_DEADLINE_NOT_REACHED', 'alone');
    }
    return this.#majority(statements, statementOf);
  }

  #majority(statements: readonly SignedBy[], statementOf: (mspId: string) => Signable): string[] {
    const { organisations } = this.#options;
    const signers = statements.filter(({ mspId, signature }) => {
      const key = organisations.find((o) => o.mspId === mspId)?.signingKey;
      const parsed = key === undefined ? undefined : parsePublicKey(key);
      return parsed !== undefined && verifyStatement(statementOf(mspId), signature, parsed);
    });
    const names = new Set(signers.map(({ mspId }) => mspId));
    return names.size >= majorityOf(organisations.length)
      ? [...names].sort()
      : refuse('STATEMENTS_INSUFFICIENT', [...names].join(', '));
  }

  #save(type: 'RoundOpened' | 'RoundClosed' | 'RoundFinalised' | 'RoundAborted', record: RoundRecord): Done {
    this.rounds.set(record.round, record);
    const { taskId, round, attempt, proposal, baseModelHash } = record;
    const modelHash = proposal?.modelHash ?? baseModelHash;
    return { result: record, event: { type, taskId, round, attempt, modelHash } };
  }

  #attempt(ref: AttemptRef): RoundRecord {
    const round = this.#round(ref);
    return round.attempt === ref.attempt ? round : refuse('ROUND_STALE', attemptKey(ref));
  }

  #round(ref: { taskId: string; round: number }): RoundRecord {
    return this.rounds.get(ref.round) ?? refuse('ROUND_UNKNOWN', String(ref.round));
  }

  #nowMs(): number {
    return this.#options.now?.() ?? Date.now();
  }
}

function openedRound(task: Task, input: OpenRound): Pick<RoundRecord, 'secure' | 'he'> {
  const { opening } = input;
  if (task.he !== undefined) {
    return heRound(input);
  }
  if (task.privacy === 'plain') {
    return {};
  }
  if (opening === undefined) {
    return refuse('OPENING_INVALID', 'a secure round needs an opening');
  }
  const none = { openedProjections: 0, chargedMicroRho: 0, shownAttempts: [], disputes: [], faulty: [], accused: [] };
  return { secure: { opening, openingHash: openingHash(opening), ...none } };
}

function heRound({ he: opening }: OpenRound): { he: HeRound } {
  return opening === undefined
    ? refuse('OPENING_INVALID', 'a round in mode he needs an opening')
    : { he: { opening, openingHash: heOpeningHash(opening), shownAttempts: [] } };
}

function recordedEvent(round: RoundRecord, accepted: number, all: number): LedgerEvent {
  const { taskId, attempt } = round;
  return { type: 'UpdatesRecorded', taskId, round: round.round, attempt, accepted, refused: all - accepted };
}

function refuse(code: string, detail: string): never {
  throw new LedgerError(code, detail);
}
