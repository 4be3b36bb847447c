// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, heReceivers, type ReceiptStatement } from '@sev/chaincode/api';
import {
  attemptKey,
  baseKey,
  consortiumOf,
  isSigned,
  recordError,
  roundKey,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import type { Audited } from './records.js';

type Round = Audited<'round'>;
interface AttemptRef {
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
}

/** A receipt is an aggregator's of the round, over an update that is recorded, and is shown before the cohort is fixed. */
export function checkReceiptWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'receipt'>>[],
): void {
  for (const { record, before } of writes) {
    const { taskId, round, attempt, vehicleId, mspId, signature } = record;
    const where = `the receipt of ${mspId} for ${vehicleId} in round ${attemptKey(record)}`;
    if (before !== undefined) {
      throw recordError(transaction, 'RECORD_OVERWRITTEN', where);
    }
    const current = roundIn(state, record, ['open', 'closed']);
    const update = state.updates.get(attemptKey(record))?.get(vehicleId);
    const isAggregator = receiversOf(state, current).includes(mspId);
    const { bootstrapHash: consortium } = consortiumOf(state, transaction);
    const statement: ReceiptStatement = {
      type: 'sev/share-receipt/v1',
      ...{ consortium, taskId, round, attempt, mspId, vehicleId, commitmentRoot: update?.updateHash ?? '' },
    };
    const isNamed = transaction.name === 'learning:ShowReceipts' && isAggregator && update !== undefined;
    if (!isNamed || !isSigned(state, transaction, statement, signature)) {
      throw recordError(transaction, 'RECEIPT_INVALID', where);
    }
    const known = state.receipts.get(attemptKey(record)) ?? [];
    state.receipts.set(attemptKey(record), [...known, record]);
  }
}

/** A cohort is written once, as it is fixed; what is in it is judged with the round's step. */
export function checkCohortWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'cohort'>>[],
): void {
  for (const { record, before } of writes) {
    checkOnce(state, transaction, record, { isNew: before === undefined, from: 'closed', name: 'learning:FixCohort' });
    state.cohorts.set(attemptKey(record), record);
  }
}

/** Scores are written once, as the round is scored; what is in them is judged with the round's step. */
export function checkScoresWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'scores'>>[],
): void {
  for (const { record, before } of writes) {
    const { scores } = record;
    checkOnce(state, transaction, scores, { isNew: before === undefined, from: 'cohort', name: 'learning:ScoreRound' });
    state.scores.set(attemptKey(scores), record);
  }
}

/** A step that lets sums be shown: in mode `he` two parties can open one as soon as it is made. */
function showsSums({ name }: DomainTransaction, { record: { he } }: RecordWrite<Round>): boolean {
  return name === (he === undefined ? 'learning:CommitSums' : 'learning:FixCohort');
}

/** What is shown on a base is written with every step that lets sums be shown, and only then. */
export function checkShownWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'shownSums'>>[],
  rounds: readonly RecordWrite<Round>[],
): void {
  const showing = rounds.filter((write) => showsSums(transaction, write)).map(({ record }) => record);
  const expected = showing.map(({ taskId, baseModelHash, secure, he }) => {
    return { taskId, baseModelHash, attempts: (secure ?? he)?.shownAttempts ?? [] };
  });
  const written = writes.map(({ record: { taskId, baseModelHash, attempts } }) => ({
    taskId,
    baseModelHash,
    attempts,
  }));
  if (canonicalJson(written) !== canonicalJson(expected)) {
    throw recordError(transaction, 'RECORD_MALFORMED', 'what was shown on a base is not what its round says');
  }
  for (const { record } of writes) {
    state.shownSums.set(baseKey(record), record);
  }
}

interface Occasion {
  readonly isNew: boolean;
  readonly from: Round['state'];
  readonly name: string;
}

function checkOnce(
  state: DomainState,
  transaction: DomainTransaction,
  ref: AttemptRef,
  { isNew, from, name }: Occasion,
): void {
  if (!isNew) {
    throw recordError(transaction, 'RECORD_OVERWRITTEN', `what ${name} wrote in round ${attemptKey(ref)}`);
  }
  if (transaction.name !== name || roundIn(state, ref, [from])?.privacy === 'plain') {
    throw recordError(transaction, 'ROUND_TRANSITION', `round ${attemptKey(ref)} was not ${from} for ${name}`);
  }
}

/** Who gives receipts in a round. */
function receiversOf({ tasks }: DomainState, round: Round | undefined): readonly string[] {
  const { he } = (round && tasks.get(round.taskId)) ?? {};
  return he === undefined ? (round?.secure?.opening.aggregators.map(({ mspId }) => mspId) ?? []) : heReceivers(he);
}

function roundIn(state: DomainState, ref: AttemptRef, states: readonly Round['state'][]): Round | undefined {
  const round = state.rounds.get(roundKey(ref));
  return round?.attempt === ref.attempt && states.includes(round.state) ? round : undefined;
}
