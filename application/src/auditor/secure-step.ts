// SPDX-License-Identifier: Apache-2.0
import type { DisputePhase, SecureRound, SecureTerms, Task } from '@sev/chaincode/api';
import { attemptKey, consortiumOf, recordError, type DomainState, type DomainTransaction } from './domain-context.js';
import type { AuditCode, AuditError } from './failure.js';
import type { Audited } from './records.js';

type Round = Audited<'round'>;

/** One step of a secure round after its closing. */
export interface SecureStep {
  readonly state: DomainState;
  readonly transaction: DomainTransaction;
  readonly record: Round;
  readonly before: Round;
}

/** The same with what its rules need. */
export interface SecureAudit extends SecureStep {
  readonly task: Task;
  readonly terms: SecureTerms;
  /** As the round carried it before the step. */
  readonly secure: SecureRound;
  /** Names the attempt in statements. */
  readonly ref: {
    readonly consortium: string;
    readonly taskId: string;
    readonly round: number;
    readonly attempt: number;
  };
}

/** @throws AuditError DISPUTE_INVALID while a dispute in one of these phases, or in any, waits for its verdict. */
export function requireSettled(audit: SecureAudit, ...phases: readonly DisputePhase[]): void {
  const { disputes } = audit.secure;
  const open = disputes.find((d) => d.faulty === undefined && (phases.length === 0 || phases.includes(d.phase)));
  if (open !== undefined) {
    throw stepError(audit, 'DISPUTE_INVALID', `that about component ${String(open.component)} was not settled`);
  }
}

/** @throws AuditError RECORD_UNKNOWN */
export function scoresOf(audit: SecureAudit): Audited<'scores'> {
  const scores = audit.state.scores.get(attemptKey(audit.record));
  if (scores === undefined) {
    throw stepError(audit, 'RECORD_UNKNOWN', 'it was not scored');
  }
  return scores;
}

export function stepError({ transaction, record }: SecureStep, code: AuditCode, detail: string): AuditError {
  return recordError(transaction, code, `round ${attemptKey(record)}: ${detail}`);
}

/** @throws AuditError ROUND_TRANSITION where the round runs in plain mode. */
export function auditOf(step: SecureStep): SecureAudit {
  const { state, transaction, record, before } = step;
  const { taskId, round, attempt } = record;
  const task = state.tasks.get(taskId);
  const { secure: terms } = task ?? {};
  const { secure } = before;
  if (task === undefined || terms === undefined || secure === undefined) {
    throw stepError(step, 'ROUND_TRANSITION', 'it does not run in a secure mode');
  }
  const { bootstrapHash: consortium } = consortiumOf(state, transaction);
  return { ...step, task, terms, secure, ref: { consortium, taskId, round, attempt } };
}
