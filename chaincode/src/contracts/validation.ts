// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord, Task, ValidatorRecord } from '../api';
import { secureAttempt } from '../domain/secure-round';
import { firstHeard, judged } from '../domain/validation';
import type { LedgerContext } from './context';

/** The records of a task's validators: point reads, so that rounds of other tasks do not disturb each other. */
export async function validatorsOf(ctx: LedgerContext, { taskId, secure }: Task): Promise<readonly ValidatorRecord[]> {
  const names = secure?.validation?.validators ?? [];
  const records = await Promise.all(names.map((mspId) => ctx.learning.findValidator(taskId, mspId)));
  return records.filter((record) => record !== undefined);
}

/** Binds validators that an opened attempt hears for the first time to their data. */
export async function keepValidators(
  ctx: LedgerContext,
  opened: RoundRecord,
  known: readonly ValidatorRecord[],
): Promise<void> {
  await Promise.all(firstHeard(opened, known).map((record) => ctx.learning.putValidator(record)));
}

/** Writes what a round that became final makes of its cohort and of its validators; nothing where the task has none. */
export async function keepJudged(ctx: LedgerContext, task: Task, round: RoundRecord): Promise<void> {
  if (task.secure?.validation === undefined) {
    return;
  }
  const [cohort, scores, validators] = await Promise.all([
    ctx.learning.cohort(round),
    ctx.learning.scores(round),
    validatorsOf(ctx, task),
  ]);
  const found = await Promise.all(
    cohort.members.map(({ vehicleId }) => ctx.learning.findStanding(task.taskId, vehicleId)),
  );
  const before = found.filter((record) => record !== undefined);
  const standings = new Map(before.map((record) => [record.vehicleId, record]));
  const next = judged(secureAttempt(round, task, round.attempt), { cohort, scores, validators, standings });
  await Promise.all([
    ...next.standings.map((record) => ctx.learning.putStanding(record)),
    ...next.validators.map((record) => ctx.learning.putValidator(record)),
  ]);
}
