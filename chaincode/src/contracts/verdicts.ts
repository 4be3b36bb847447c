// SPDX-License-Identifier: Apache-2.0
import { answersQuarantine, type IncidentRecord, type Task } from '../api';
import { clearedStanding, culpritOf } from '../domain/incidents';
import { compensationsOf, forfeitsOf, shortfallOf, unvestedRounds, worthOf, type OwedRound } from '../domain/rewards';
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
 * quarantine kept it from, paid or not, and for disputed ones that counted it less. The round under way is not among them:
 * while it is open the vehicle can report. A quarantine that the incident does not speak of goes on. About whom another incident was confirmed stays what that one made of it.
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
  const isAnswered = answersQuarantine(incident, before);
  if (isAnswered) {
    await learning.putStanding(clearedStanding(before));
  }
  if (task.rewards !== undefined) {
    const from = isAnswered ? before.quarantined?.round : undefined;
    const last = await lastFinalisedAfter(ctx, incident);
    const missed = from === undefined ? [] : await missedRounds(ctx, task, vehicleId, from + 1, last);
    const lessened = await lessenedRounds(ctx, task, incident);
    await rewards.putEntries(compensationsOf(task, vehicleId, [...lessened, ...missed], incidentId));
  }
}

/** Disputed rounds that counted the vehicle less than its class, but for those that it was compensated for before. */
async function lessenedRounds(
  { learning, rewards }: LedgerContext,
  task: Task,
  { taskId, vehicleId, disputed }: IncidentRecord,
): Promise<OwedRound[]> {
  const entries = await rewards.entriesOf(
    taskId,
    vehicleId,
    disputed.map(({ round }) => round),
  );
  const before = entries.filter(({ kind }) => kind === 'compensation').map(({ round }) => round);
  return Promise.all(
    disputed
      .filter(({ round }) => !before.includes(round))
      .map(async (at): Promise<OwedRound> => {
        const ref = { taskId, ...at };
        const [cohort, scores] = await Promise.all([learning.cohort(ref), learning.scores(ref)]);
        return { round: at.round, owedMicro: shortfallOf(task, vehicleId, { cohort, scores }) };
      }),
  );
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
): Promise<OwedRound[]> {
  const { taskId } = task;
  const rounds = Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
  const missed = await Promise.all(
    rounds.map(async (number): Promise<OwedRound | undefined> => {
      const [round, paid] = await Promise.all([learning.round(taskId, number), rewards.findPaidRound(taskId, number)]);
      if ((await learning.findUpdate(taskId, number, round.attempt, vehicleId)) !== undefined) {
        return undefined;
      }
      const owedMicro = paid?.medianMicro ?? worthOf(task, { scores: await learning.scores(round) });
      return { round: number, owedMicro };
    }),
  );
  return missed.filter((round) => round !== undefined);
}
