// SPDX-License-Identifier: Apache-2.0
import {
  majorityOf,
  parsePublicKey,
  verifyStatement,
  type ConsortiumRecord,
  type Signable,
  type SignedBy,
} from '@sev/chaincode/api';
import { AuditError, type AuditCode, type AuditCounts } from './failure.js';
import type { Audited } from './records.js';

/** A valid transaction of our chaincode, ready for the rules of its domain. */
export interface DomainTransaction {
  /** `block 12, transaction 3 (1f0c…)` */
  readonly where: string;
  readonly blockNumber: number;
  /** `learning:RecordUpdates` */
  readonly name: string;
  readonly argument: unknown;
  readonly creatorMspId: string;
  /** The key of the creator's certificate, as governance and the registry write keys, and the certificate's end. */
  readonly creatorKey: { readonly publicKey: string; readonly notAfterMs: number };
  readonly timestampMs: number;
  readonly txId: string;
}

/** One audited record that a transaction wrote, beside what stood under its key before. */
export interface RecordWrite<R> {
  readonly record: R;
  readonly before: R | undefined;
}

/** What an attempt at a round cost the ledger. */
export interface RoundActivity {
  /** Valid transactions that name the attempt. */
  transactions: number;
  /** Numbers of the blocks that hold them. */
  readonly blocks: Set<number>;
}

export interface FinalisedRound {
  readonly task: Audited<'task'>['task'];
  readonly record: Audited<'round'>;
  readonly updates: readonly Audited<'update'>[];
  /** Of a round in a secure mode. */
  readonly scores?: Audited<'scores'>;
  /** Of a round in mode `he`. */
  readonly cohort?: Audited<'cohort'>;
}

/** A vote on an incident, and the voter's membership when it voted. */
export interface CastVote {
  readonly record: Audited<'incidentVote'>;
  readonly admission: string;
}

/** Everything that the replay of the domain's rules remembers. */
export interface DomainState {
  consortium: Omit<ConsortiumRecord, 'docType' | 'schemaVersion'> | undefined;
  /** Which membership of an organisation is the present one, where it was admitted by proposal. */
  readonly admissions: Map<string, string>;
  readonly vehicles: Map<string, Audited<'vehicle'>>;
  /** Scope (maker's organisation, and its key), domain and tag → vehicleId */
  readonly tags: Map<string, string>;
  /** Every key that a vehicle holds or held → vehicleId */
  readonly vehicleKeys: Map<string, string>;
  readonly tasks: Map<string, Audited<'task'>['task']>;
  /** `task/round` → its latest record */
  readonly rounds: Map<string, Audited<'round'>>;
  /** `task/round/attempt` → recorded updates by vehicleId */
  readonly updates: Map<string, Map<string, Audited<'update'>>>;
  /** `task/round/attempt` → receipts that were shown */
  readonly receipts: Map<string, Audited<'receipt'>[]>;
  /** `task/round/attempt` → record */
  readonly cohorts: Map<string, Audited<'cohort'>>;
  readonly scores: Map<string, Audited<'scores'>>;
  /** Task → its validators' records by MSP id */
  readonly validators: Map<string, Map<string, Audited<'validator'>>>;
  /** `task/vehicle` → record */
  readonly vehicleData: Map<string, Audited<'vehicleData'>>;
  readonly standings: Map<string, Audited<'standing'>>;
  readonly incidents: Map<string, Audited<'incident'>>;
  /** By incident. */
  readonly incidentVotes: Map<string, readonly CastVote[]>;
  /** `task/vehicle` → about whom an incident was confirmed */
  readonly culprits: Map<string, Audited<'culprit'>>;
  /** {@link afterKey} → record */
  readonly corrections: Map<string, Audited<'correction'>>;
  /** `task/round/vehicle/kind` → movement */
  readonly journal: Map<string, Audited<'journalEntry'>>;
  /** `task/round` → record */
  readonly paidRounds: Map<string, Audited<'paidRound'>>;
  /** `task/base` → record */
  readonly shownSums: Map<string, Audited<'shownSums'>>;
  /** Base model → whose it is */
  readonly bases: Map<string, Pick<Audited<'base'>, 'baseModelHash' | 'taskId' | 'begunAtMs'>>;
  /** Whether the contracts write whose a base is when a task or a model is made; earlier ones did when a round opened. */
  claimsBases: boolean;
  /** `task/modelHash` → record */
  readonly models: Map<string, Audited<'model'>>;
  readonly finalised: FinalisedRound[];
  /** `task/round/attempt` → what it cost */
  readonly activity: Map<string, RoundActivity>;
  readonly counts: AuditCounts;
}

export function roundKey(ref: { readonly taskId: string; readonly round: number }): string {
  return `${ref.taskId}/${String(ref.round)}`;
}

export function attemptKey(ref: { readonly taskId: string; readonly round: number; readonly attempt: number }): string {
  return `${roundKey(ref)}/${String(ref.attempt)}`;
}

export function baseKey(ref: { readonly taskId: string; readonly baseModelHash: string }): string {
  return `${ref.taskId}/${ref.baseModelHash}`;
}

export function afterKey(ref: { readonly taskId: string; readonly afterRound: number }): string {
  return roundKey({ taskId: ref.taskId, round: ref.afterRound });
}

export function standingKey(ref: { readonly taskId: string; readonly vehicleId: string }): string {
  return `${ref.taskId}/${ref.vehicleId}`;
}

export function newDomainState(counts: AuditCounts): DomainState {
  return {
    consortium: undefined,
    admissions: new Map(),
    vehicles: new Map(),
    tags: new Map(),
    vehicleKeys: new Map(),
    tasks: new Map(),
    rounds: new Map(),
    updates: new Map(),
    receipts: new Map(),
    cohorts: new Map(),
    scores: new Map(),
    validators: new Map(),
    vehicleData: new Map(),
    standings: new Map(),
    incidents: new Map(),
    incidentVotes: new Map(),
    culprits: new Map(),
    corrections: new Map(),
    journal: new Map(),
    paidRounds: new Map(),
    shownSums: new Map(),
    bases: new Map(),
    claimsBases: false,
    models: new Map(),
    finalised: [],
    activity: new Map(),
    counts,
  };
}

export function recordError(transaction: DomainTransaction, code: AuditCode, detail: string): AuditError {
  return new AuditError({ kind: 'record', where: `${transaction.where}, ${transaction.name}`, code, detail });
}

export function consortiumOf(
  state: DomainState,
  transaction: DomainTransaction,
): NonNullable<DomainState['consortium']> {
  if (state.consortium === undefined) {
    throw recordError(transaction, 'RECORD_UNKNOWN', 'the consortium has not been bootstrapped');
  }
  return state.consortium;
}

/** Verifies one signature over a statement and counts it. */
export function statementHolds(
  state: DomainState,
  statement: Signable,
  signature: string,
  publicKeyText: string,
): boolean {
  state.counts.signatures += 1;
  const key = parsePublicKey(publicKeyText);
  return key !== undefined && verifyStatement(statement, signature, key);
}

/**
 * Checks that a majority of the consortium's organisations signed their statement; signatures that do not hold,
 * strangers and repetitions count for nothing.
 *
 * @throws AuditError STATEMENTS_INSUFFICIENT
 */
export function requireMajority(
  state: DomainState,
  transaction: DomainTransaction,
  statements: readonly SignedBy[],
  statementOf: (mspId: string) => Signable,
): void {
  const { organisations } = consortiumOf(state, transaction);
  const signers = new Set<string>();
  for (const { mspId, signature } of statements) {
    const organisation = organisations.find((o) => o.mspId === mspId);
    if (organisation !== undefined && statementHolds(state, statementOf(mspId), signature, organisation.signingKey)) {
      signers.add(mspId);
    }
  }
  const needed = majorityOf(organisations.length);
  if (signers.size < needed) {
    const found = signers.size === 0 ? 'none' : [...signers].join(', ');
    const detail = `valid statements of ${found}; ${String(needed)} organisations are needed`;
    throw recordError(transaction, 'STATEMENTS_INSUFFICIENT', detail);
  }
}

/** @throws AuditError STATEMENT_SIGNATURE unless the member that a statement names signed it. */
export function requireSigned(
  state: DomainState,
  transaction: DomainTransaction,
  statement: Signable & { readonly mspId: string },
  signature: string,
): void {
  if (!isSigned(state, transaction, statement, signature)) {
    throw recordError(transaction, 'STATEMENT_SIGNATURE', `${statement.type} of ${statement.mspId}`);
  }
}

/** Whether the member that a statement names signed it. */
export function isSigned(
  state: DomainState,
  transaction: DomainTransaction,
  statement: Signable & { readonly mspId: string },
  signature: string,
): boolean {
  const signer = consortiumOf(state, transaction).organisations.find(({ mspId }) => mspId === statement.mspId);
  return signer !== undefined && statementHolds(state, statement, signature, signer.signingKey);
}
