// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { checkBaseWrites } from './base-rules.js';
import { checkCorrectionWrites } from './correction-rules.js';
import {
  recordError,
  newDomainState,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import { checkVehicleDataWrites } from './drawn-rules.js';
import type { AuditCounts } from './failure.js';
import { GovernanceRules } from './governance-rules.js';
import { checkIncidentWrites, clearedStandings, type IncidentWrites } from './incident-rules.js';
import {
  checkBatchResults,
  checkModelWrites,
  checkRoundWrites,
  checkTaskWrites,
  checkUpdateWrites,
} from './learning-rules.js';
import { readRecord, type Audited, type AuditedRecord } from './records.js';
import { checkVehicleWrites, revocationBy } from './registry-rules.js';
import { checkRewardWrites } from './reward-rules.js';
import { checkStandingWrites, checkValidatorWrites } from './validation-rules.js';
import { checkCohortWrites, checkReceiptWrites, checkScoresWrites, checkShownWrites } from './secure-records.js';

/** A public write of a valid transaction with the value that it replaced. */
export interface ReplacedValue {
  readonly key: string;
  readonly isDelete: boolean;
  readonly value: Uint8Array;
  readonly before: Uint8Array | undefined;
}

/**
 * Repeats the contracts' rules from what valid transactions asked for, who asked, and what they wrote: nothing is
 * taken from the contracts' own word. Transactions come in the ledger's order.
 */
export class DomainReplay {
  readonly state: DomainState;
  readonly #governance: GovernanceRules;

  constructor(counts: AuditCounts) {
    this.state = newDomainState(counts);
    this.#governance = new GovernanceRules(this.state);
  }

  /** @throws AuditError naming the first record that does not follow. */
  apply(transaction: DomainTransaction, values: readonly ReplacedValue[]): void {
    try {
      this.#apply(transaction, values);
    } catch (error) {
      if (error instanceof z.ZodError) {
        const [issue] = error.issues;
        const detail = issue === undefined ? 'unreadable' : `${issue.path.join('.')}: ${issue.message}`;
        throw recordError(transaction, 'RECORD_MALFORMED', detail);
      }
      throw error;
    }
  }

  #apply(transaction: DomainTransaction, values: readonly ReplacedValue[]): void {
    countActivity(this.state, transaction);
    checkMember(this.state, transaction);
    const writes = values.map((value) => readWrite(transaction, value)).filter((write) => write !== undefined);
    const voted = this.#governance.apply(transaction, ofType(writes, 'proposal'));
    const vehicles = ofType(writes, 'vehicle');
    const updates = ofType(writes, 'update');
    const correction = checkCorrectionWrites(this.state, transaction, ofType(writes, 'correction'));
    const decided = checkIncidentWrites(this.state, transaction, incidentWrites(writes), correction);
    checkVehicleWrites(this.state, transaction, vehicles, voted ?? revocationBy(this.state, decided));
    const tasks = ofType(writes, 'task');
    checkTaskWrites(this.state, transaction, tasks);
    checkUpdateWrites(this.state, transaction, updates);
    checkVehicleDataWrites(this.state, transaction, ofType(writes, 'vehicleData'), updates);
    checkReceiptWrites(this.state, transaction, ofType(writes, 'receipt'));
    checkCohortWrites(this.state, transaction, ofType(writes, 'cohort'));
    checkScoresWrites(this.state, transaction, ofType(writes, 'scores'));
    const rounds = ofType(writes, 'round');
    checkRoundWrites(this.state, transaction, rounds);
    checkValidatorWrites(this.state, transaction, ofType(writes, 'validator'), rounds);
    checkRewardWrites(this.state, transaction, rewardWrites(writes), decided);
    const cleared = clearedStandings(this.state, decided);
    checkStandingWrites(this.state, transaction, ofType(writes, 'standing'), rounds, cleared);
    checkShownWrites(this.state, transaction, ofType(writes, 'shownSums'), rounds);
    checkBaseWrites(this.state, transaction, ofType(writes, 'base'), {
      tasks: tasks.map(({ record }) => record),
      rounds: rounds.map(({ record }) => record),
      correction,
    });
    checkModelWrites(this.state, transaction, ofType(writes, 'model'));
    const enrolled = vehicles.filter((write) => write.before === undefined).map((write) => write.record.vehicleId);
    const recorded = updates.map((write) => write.record.vehicleId);
    const enrollments = ofType(writes, 'enrollmentBatch').map((write) => write.record);
    const batches = ofType(writes, 'updateBatch').map((write) => write.record);
    checkBatchResults(this.state, transaction, enrollments, new Set(enrolled));
    checkBatchResults(this.state, transaction, batches, new Set(recorded));
  }
}

/** Whoever submits is a member when it does; only the bootstrap comes before there are any. */
function checkMember({ consortium }: DomainState, transaction: DomainTransaction): void {
  const { creatorMspId } = transaction;
  if (consortium !== undefined && !consortium.organisations.some(({ mspId }) => mspId === creatorMspId)) {
    throw recordError(transaction, 'CREATOR_NOT_MEMBER', creatorMspId);
  }
}

const attemptRef = z.object({ taskId: z.string(), round: z.number(), attempt: z.number() });
const attemptNamed = z.union([
  attemptRef,
  z.object({ proposal: attemptRef }).transform(({ proposal }) => proposal),
  z.object({ scores: attemptRef }).transform(({ scores }) => scores),
]);

function countActivity({ activity }: DomainState, { name, argument, blockNumber }: DomainTransaction): void {
  const named = name.startsWith('learning:') ? attemptNamed.safeParse(argument) : undefined;
  if (named?.success !== true) {
    return;
  }
  const { taskId, round, attempt } = named.data;
  const key = `${taskId}/${String(round)}/${String(attempt)}`;
  const known = activity.get(key) ?? { transactions: 0, blocks: new Set() };
  known.transactions += 1;
  known.blocks.add(blockNumber);
  activity.set(key, known);
}

function readWrite(transaction: DomainTransaction, value: ReplacedValue): RecordWrite<AuditedRecord> | undefined {
  const before = value.before === undefined ? undefined : readRecord(value.before);
  if (value.isDelete) {
    if (before !== undefined) {
      throw recordError(transaction, 'RECORD_OVERWRITTEN', `a ${before.docType} record was deleted`);
    }
    return undefined;
  }
  const record = readRecord(value.value);
  if (record === undefined || (before !== undefined && before.docType !== record.docType)) {
    if (before !== undefined) {
      throw recordError(transaction, 'RECORD_OVERWRITTEN', `a ${before.docType} record was replaced`);
    }
    return undefined;
  }
  return { record, before };
}

function incidentWrites(writes: readonly RecordWrite<AuditedRecord>[]): IncidentWrites {
  const [incidents, votes] = [ofType(writes, 'incident'), ofType(writes, 'incidentVote')];
  return { incidents, votes, culprits: ofType(writes, 'culprit') };
}

function rewardWrites(writes: readonly RecordWrite<AuditedRecord>[]) {
  return { entries: ofType(writes, 'journalEntry'), paid: ofType(writes, 'paidRound') };
}

function ofType<T extends AuditedRecord['docType']>(
  writes: readonly RecordWrite<AuditedRecord>[],
  docType: T,
): RecordWrite<Audited<T>>[] {
  const isOfType = (record: AuditedRecord): record is Audited<T> => record.docType === docType;
  return writes.flatMap(({ record, before }) =>
    isOfType(record) ? [{ record, before: before !== undefined && isOfType(before) ? before : undefined }] : [],
  );
}
