// SPDX-License-Identifier: Apache-2.0
import {
  openedAmong,
  scoredWeights,
  type CommitSums,
  type FixCohort,
  type ReceiptRecord,
  type RoundRecord,
  type ScoreRound,
  type ShowReceipts,
  type Task,
} from '../api';
import { heReceiptOf } from '../domain/he-cohort';
import { heAttempt } from '../domain/he-round';
import * as cohorts from '../domain/secure-cohort';
import { isPast, secureAttempt, type SecureAttempt } from '../domain/secure-round';
import * as scoring from '../domain/secure-scores';
import * as summing from '../domain/secure-sums';
import { transitionFacts, type LedgerContext } from './context';

interface TaskAndRound {
  readonly task: Task;
  readonly round: RoundRecord;
}

/** Writes the receipts that the ledger does not hold yet. @returns all that were shown, and how many are new. */
export async function showReceipts(
  ctx: LedgerContext,
  input: ShowReceipts,
  { task, round }: TaskAndRound,
): Promise<{ readonly receipts: readonly ReceiptRecord[]; readonly shown: number }> {
  const receiptOf = receiptRule(round, task, input.attempt);
  const facts = await transitionFacts(ctx);
  const known = await Promise.all(
    input.receipts.map(async (receipt) => {
      const { vehicleId, mspId } = receipt;
      const [update, existing] = await Promise.all([
        ctx.learning.findUpdate(input.taskId, input.round, input.attempt, vehicleId),
        ctx.learning.findReceipt(input, vehicleId, mspId),
      ]);
      return { receipt, update, existing };
    }),
  );
  const added = new Map<string, ReceiptRecord>();
  const receipts = known.map(({ receipt, update, existing }) => {
    const name = `${receipt.vehicleId}/${receipt.mspId}`;
    const record = existing ?? added.get(name) ?? receiptOf(receipt, update, facts);
    if (existing === undefined) {
      added.set(name, record);
    }
    return record;
  });
  await Promise.all([...added.values()].map((record) => ctx.learning.putReceipt(record)));
  return { receipts, shown: added.size };
}

type ReceiptRule = (
  ...of: Parameters<typeof cohorts.receiptOf> extends [unknown, ...infer R] ? R : never
) => ReceiptRecord;

function receiptRule(round: RoundRecord, task: Task, attempt: number): ReceiptRule {
  if (task.he !== undefined) {
    const he = heAttempt(round, task, attempt);
    return (...of) => heReceiptOf(he, ...of);
  }
  const secure = secureAttempt(round, task, attempt);
  return (...of) => cohorts.receiptOf(secure, ...of);
}

/** Scans the attempt's updates, which closing fixed, and its receipts, which this fixes. */
export async function fixCohort(
  ctx: LedgerContext,
  input: FixCohort,
  { task, round }: TaskAndRound,
): Promise<RoundRecord> {
  const attempt = secureAttempt(round, task, input.attempt);
  const updates = await ctx.learning.allUpdates(input.taskId, input.round, input.attempt);
  const receipts = await ctx.learning.allReceipts(input);
  const before = await Promise.all(shownAttempts(attempt).map((ref) => scoredCohort(ctx, ref)));
  const shown = before.map(({ cohort, scores }) => scoredWeights(cohort, scores, attempt.terms.shardSize));
  const opened = await openedVehicles(ctx, attempt);
  const facts = { ...(await transitionFacts(ctx)), updates, receipts, shown, opened };
  const fixed = cohorts.fixCohort(attempt, input, facts);
  if (fixed.round !== round) {
    await ctx.learning.putCohort(fixed.cohort);
  }
  return fixed.round;
}

export async function scoreRound(
  ctx: LedgerContext,
  input: ScoreRound,
  { task, round }: TaskAndRound,
): Promise<RoundRecord> {
  const attempt = secureAttempt(round, task, input.scores.attempt);
  isPast(round, 'cohort');
  const [cohort, facts] = await Promise.all([ctx.learning.cohort(input.scores), transitionFacts(ctx)]);
  const scored = scoring.scoreRound(attempt, input, cohort, facts);
  if (scored === undefined) {
    return round;
  }
  await ctx.learning.putScores(scored.record);
  return scored.round;
}

export async function commitSums(
  ctx: LedgerContext,
  input: CommitSums,
  { task, round }: TaskAndRound,
): Promise<RoundRecord> {
  const attempt = secureAttempt(round, task, input.attempt);
  isPast(round, 'scored');
  const [own, shown, opened, facts] = await Promise.all([
    scoredCohort(ctx, input),
    Promise.all(shownAttempts(attempt).map((ref) => scoredCohort(ctx, ref))),
    openedVehicles(ctx, attempt),
    transitionFacts(ctx),
  ]);
  const committed = summing.commitSums(attempt, input, { ...facts, ...own, shown, opened });
  if (committed !== round && committed.secure !== undefined) {
    const { taskId, baseModelHash } = committed;
    const { shownAttempts: attempts } = committed.secure;
    await ctx.learning.putShownSums({ docType: 'shownSums', schemaVersion: 1, taskId, baseModelHash, attempts });
  }
  return committed;
}

interface AttemptRef {
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
}

async function scoredCohort(ctx: LedgerContext, ref: AttemptRef): Promise<summing.ScoredCohort> {
  const [cohort, scores] = await Promise.all([ctx.learning.cohort(ref), ctx.learning.scores(ref)]);
  return { cohort, scores };
}

/** Vehicles that were opened by vote; they matter only where sums are compared with others. */
async function openedVehicles({ incidents }: LedgerContext, attempt: SecureAttempt): Promise<ReadonlySet<string>> {
  const isCompared = attempt.secure.shownAttempts.length > 0;
  return openedAmong(isCompared ? await incidents.culprits(attempt.task.taskId) : []);
}

function shownAttempts({ round: { taskId }, secure }: SecureAttempt): readonly AttemptRef[] {
  return secure.shownAttempts.map((shown) => ({ taskId, ...shown }));
}
