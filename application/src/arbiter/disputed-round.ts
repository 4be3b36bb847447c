// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  reportContext,
  scoresHash,
  type CohortRecord,
  type Dispute,
  type DisputePhase,
  type SecureRound,
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
  readonly dispute: Dispute;
  readonly task: Task;
  readonly terms: SecureTerms;
  readonly round: SecureRoundRecord;
  readonly members: CohortRecord['members'];
  /** What the nonces made: of the projections' vectors, of shards, and of which noise is used. */
  readonly seed: string;
  /** Whose directions make the reference that the last number of each vehicle is of; undefined where the task has none. */
  readonly references: readonly string[] | undefined;
  /** From `scored` on. */
  readonly weights: readonly number[] | undefined;
  /** Values in a report: parameters, then metrics. */
  readonly length: number;
  readonly contextOf: (reporter: string) => string;
}

/** @throws SevError DISPUTE_UNKNOWN where the ledger shows no such dispute; LedgerError. */
export async function disputeOnLedger(
  learning: LearningContract,
  consortium: string,
  { ref, component, phase }: { readonly ref: AttemptRef; readonly component: number; readonly phase: DisputePhase },
): Promise<DisputedRound> {
  const [{ task }, round] = await Promise.all([learning.task(ref.taskId), learning.round(ref)]);
  const { secure, baseModelHash } = round;
  const dispute = secure?.disputes.find((one) => one.component === component && one.phase === phase);
  if (round.attempt !== ref.attempt || secure === undefined || dispute === undefined) {
    const detail = `the ledger shows no dispute in phase ${phase} about component ${String(component)}`;
    throw new SevError('DISPUTE_UNKNOWN', `${attemptKey(ref)}: ${detail}`);
  }
  const { members } = await learning.cohort(ref);
  if (cohortHash(members) !== secure.cohortHash) {
    throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the cohort that the gateway shows is not the one of its round');
  }
  const terms = secureTermsOf(task);
  const place = { consortium, ...attemptOf(ref), baseModelHash };
  return {
    consortium,
    dispute,
    task,
    terms,
    round: { ...round, secure },
    members,
    seed: seedOf(secure, dispute),
    references: secure.references ?? dispute.references,
    weights: secure.scoresHash === undefined ? undefined : await weightsOf(learning, ref, secure.scoresHash),
    length: task.model.parameters + terms.metrics.length,
    contextOf: (reporter) => reportContext({ ...place, reporter }),
  };
}

/** Once the round is scored, it carries the seed; before, only projections are disputed, and their dispute carries it. */
function seedOf({ seed }: SecureRound, dispute: Dispute): string {
  const known = seed ?? dispute.seed;
  if (known === undefined) {
    throw new SevError('LEDGER_VIEW_INCONSISTENT', 'neither the round nor the dispute carries the seed of its nonces');
  }
  return known;
}

async function weightsOf(learning: LearningContract, ref: AttemptRef, hash: string): Promise<readonly number[]> {
  const { scores } = await learning.scores(ref);
  if (scoresHash(scores) !== hash) {
    throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the scores that the gateway shows are not those of its round');
  }
  return scores.weights;
}
