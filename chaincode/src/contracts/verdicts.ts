// SPDX-License-Identifier: Apache-2.0
import type { IncidentRecord, Task } from '../api';
import { clearedStanding, culpritOf } from '../domain/incidents';
import { compensationsOf, forfeitsOf, unvestedRounds, worthOf, type MissedRound } from '../domain/rewards';
import { changeStatus } from '../domain/vehicle';
import type { LedgerContext } from './context';

/** What follows from a confirmed incident: the vehicle is revoked, and what had not vested goes back to the pool. */
export async function condemnVehicle(ctx: LedgerContext, incident: IncidentRecord): Promise<void> {
  const { learning, incidents, registry, rewards } = ctx;
  const { incidentId, taskId, vehicleId } = incident;
  const [{ task }, vehicle, before, lastFinalised] = await Promise.all([
    learning.task(taskId),
    registry.vehicle(vehicleId),
    incidents.findCulprit(taskId, vehicleId),
    lastFinalisedAfter(ctx, incident),
  ]);
  await incidents.putCulprit(culpritOf(incident, before, lastFinalised));
  const reason = `incident ${incidentId}`;
  const revoked = changeStatus(vehicle, { status: 'revoked', reason, setBy: 'consortium' });
  if (revoked !== vehicle) {
    await registry.putVehicle(revoked);
  }
  if (task.rewards !== undefined) {
    const unvested = unvestedRounds(task.rewards, lastFinalised);
    const entries = await rewards.entriesOf(taskId, vehicleId, unvested);
    await rewards.putEntries(forfeitsOf(entries, lastFinalised, incidentId));
  }
}

/**
 * What follows from a cleared incident: the vehicle begins anew, and is compensated for the finalised rounds that its
 * quarantine kept it from, paid or not. The round under way is not among them: while it is open the vehicle can report.
 * About whom another incident was confirmed stays what that one made of it.
 */
export async function clearVehicle(ctx: LedgerContext, incident: IncidentRecord): Promise<void> {
  const { learning, incidents, rewards } = ctx;
  const { incidentId, taskId, vehicleId } = incident;
  const [{ task }, before, culprit] = await Promise.all([
    learning.task(taskId),
    learning.findStanding(taskId, vehicleId),
    incidents.findCulprit(taskId, vehicleId),
  ]);
  if (before === undefined || culprit !== undefined) {
    return;
  }
  await learning.putStanding(clearedStanding(before));
  if (task.rewards !== undefined && before.quarantined !== undefined) {
    const from = before.quarantined.round + 1;
    const missed = await missedRounds(ctx, task, vehicleId, from, await lastFinalisedAfter(ctx, incident));
    await rewards.putEntries(compensationsOf(task, vehicleId, missed, incidentId));
  }
}

/** Disputed rounds are finalised, so the last one is looked for from there. */
function lastFinalisedAfter({ learning }: LedgerContext, { taskId, disputed }: IncidentRecord): Promise<number> {
  return learning.lastFinalised(taskId, disputed.at(-1)?.round);
}

/** The rounds from one to another that recorded no update of the vehicle. */
async function missedRounds(
  { learning, rewards }: LedgerContext,
  task: Task,
  vehicleId: string,
  from: number,
  to: number,
): Promise<MissedRound[]> {
  const { taskId } = task;
  const rounds = Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
  const missed = await Promise.all(
    rounds.map(async (number): Promise<MissedRound | undefined> => {
      const [round, paid] = await Promise.all([learning.round(taskId, number), rewards.findPaidRound(taskId, number)]);
      if ((await learning.findUpdate(taskId, number, round.attempt, vehicleId)) !== undefined) {
        return undefined;
      }
      const medianMicro = paid?.medianMicro ?? worthOf(task, { scores: await learning.scores(round) });
      return { round: number, medianMicro };
    }),
  );
  return missed.filter((round) => round !== undefined);
}
