// SPDX-License-Identifier: Apache-2.0
import type { CommitHeSum, FixCohort, RoundRecord, Task } from '../api';
import * as cohorts from '../domain/he-cohort';
import { heAttempt } from '../domain/he-round';
import * as summing from '../domain/he-sums';
import { transitionFacts, type LedgerContext } from './context';

interface TaskAndRound {
  readonly task: Task;
  readonly round: RoundRecord;
}

/** Scans the attempt's updates, which closing fixed, and its receipts, which this fixes. */
export async function fixHeCohort(
  ctx: LedgerContext,
  input: FixCohort,
  { task, round }: TaskAndRound,
): Promise<RoundRecord> {
  const attempt = heAttempt(round, task, input.attempt);
  const { taskId, round: number } = input;
  const refs = attempt.he.shownAttempts.map((shown) => ({ taskId, ...shown }));
  const [updates, receipts, shown, facts] = await Promise.all([
    ctx.learning.allUpdates(taskId, number, input.attempt),
    ctx.learning.allReceipts(input),
    Promise.all(refs.map((ref) => ctx.learning.cohort(ref))),
    transitionFacts(ctx),
  ]);
  const fixed = cohorts.fixHeCohort(attempt, input, { ...facts, updates, receipts, shown });
  if (fixed.round !== round) {
    const { baseModelHash, he } = fixed.round;
    const attempts = he?.shownAttempts ?? [];
    await ctx.learning.putCohort(fixed.cohort);
    await ctx.learning.putShownSums({ docType: 'shownSums', schemaVersion: 1, taskId, baseModelHash, attempts });
  }
  return fixed.round;
}

export async function commitHeSum(
  ctx: LedgerContext,
  input: CommitHeSum,
  { task, round }: TaskAndRound,
): Promise<RoundRecord> {
  return summing.commitHeSum(heAttempt(round, task, input.attempt), input, await transitionFacts(ctx));
}
