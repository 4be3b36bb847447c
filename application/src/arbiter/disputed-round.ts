// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  reportContext,
  type CohortRecord,
  type ConsortiumRecord,
  type DisputePhase,
  type SecureTerms,
  type Task,
} from '@sev/chaincode/api';
import type { SecureRoundRecord } from '../aggregator/ledger-view.js';
import { SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import type { LearningContract } from '../services/rounds.js';
import { secureTermsOf } from '../services/secure-scores.js';

/** A round with a dispute, as the arbiter's own ledger shows it. */
export interface DisputedRound {
  readonly consortium: string;
  readonly record: ConsortiumRecord;
  readonly task: Task;
  readonly terms: SecureTerms;
  readonly round: SecureRoundRecord;
  readonly members: CohortRecord['members'];
  /** From `scored` on. */
  readonly seed: string | undefined;
  readonly weights: readonly number[] | undefined;
  /** Values in a report: parameters, then metrics. */
  readonly length: number;
  readonly contextOf: (reporter: string) => string;
}

/** @throws SevError DISPUTE_UNKNOWN where the ledger shows no such dispute; LedgerError. */
export async function disputeOnLedger(
  learning: LearningContract,
  record: ConsortiumRecord,
  { ref, component, phase }: { readonly ref: AttemptRef; readonly component: number; readonly phase: DisputePhase },
): Promise<DisputedRound> {
  const { bootstrapHash: consortium } = record;
  const [{ task }, round] = await Promise.all([learning.task(ref.taskId), learning.round(ref)]);
  const { secure, baseModelHash } = round;
  const isOpen = secure?.disputes.some((one) => one.component === component && one.phase === phase);
  if (round.attempt !== ref.attempt || secure === undefined || isOpen !== true) {
    const detail = `the ledger shows no dispute in phase ${phase} about component ${String(component)}`;
    throw new SevError('DISPUTE_UNKNOWN', `${attemptKey(ref)}: ${detail}`);
  }
  const { members } = await learning.cohort(ref);
  if (cohortHash(members) !== secure.cohortHash) {
    throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the cohort that the gateway shows is not the one of its round');
  }
  const { seed } = secure;
  const terms = secureTermsOf(task);
  const place = { consortium, ...attemptOf(ref), baseModelHash };
  return {
    consortium,
    record,
    task,
    terms,
    round: { ...round, secure },
    members,
    seed,
    weights: seed === undefined ? undefined : (await learning.scores(ref)).scores.weights,
    length: task.model.parameters + terms.metrics.length,
    contextOf: (reporter) => reportContext({ ...place, reporter }),
  };
}
