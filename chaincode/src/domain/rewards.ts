// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  medianReward,
  poolAccount,
  rewardsOf,
  vehicleAccount,
  vestsAtRound,
  type CohortRecord,
  type CulpritRecord,
  type JournalEntry,
  type PaidRoundRecord,
  type RewardStatement,
  type RewardTerms,
  type RoundRecord,
  type ScoresRecord,
  type Task,
} from '../api';

/** A finalised round with what its rewards follow from. */
export interface RewardedRound {
  readonly round: RoundRecord;
  readonly cohort: CohortRecord;
  readonly scores: ScoresRecord;
}

/** What every member of a round's cohort has earned, and what the round is worth to one that was kept from it. */
interface Earned {
  readonly amounts: readonly { readonly vehicleId: string; readonly amountMicro: number }[];
  readonly medianMicro: number;
}

/** @throws ContractError REWARDS_NONE */
export function requireRewards({ taskId, rewards }: Task): RewardTerms {
  if (rewards === undefined) {
    throw new ContractError('REWARDS_NONE', `task ${taskId}`);
  }
  return rewards;
}

/** @throws ContractError ROUND_NOT_FINALISED */
export function requireFinalised({ taskId, round, state }: RoundRecord): void {
  if (state !== 'finalised') {
    throw new ContractError('ROUND_NOT_FINALISED', `round ${round} of task ${taskId} is ${state}`);
  }
}

/**
 * Pays a finalised round by its scores. A vehicle that an incident was confirmed about gets nothing that would not have
 * vested by then, whether the round was paid before the incident or is paid after it; its part stays in the pool.
 *
 * @param culprits - of the cohort's members, about whom incidents were confirmed.
 * @throws ContractError ROUND_NOT_FINALISED, REWARDS_NONE
 */
export function payRound(
  task: Task,
  rewarded: RewardedRound,
  culprits: readonly CulpritRecord[],
): { readonly paid: PaidRoundRecord; readonly entries: readonly JournalEntry[] } {
  const terms = requireRewards(task);
  const { taskId, round, secure } = rewarded.round;
  requireFinalised(rewarded.round);
  const { amounts, medianMicro } = earnedIn(terms, rewarded);
  const scoresHash = secure?.scoresHash ?? '';
  const vestsAt = vestsAtRound(terms, task, round);
  const forfeited = new Set(
    culprits.filter(({ afterRound }) => vestsAt > afterRound).map(({ vehicleId }) => vehicleId),
  );
  const entries = amounts
    .filter(({ vehicleId, amountMicro }) => amountMicro > 0 && !forfeited.has(vehicleId))
    .map(({ vehicleId, amountMicro }) =>
      earning('reward', { taskId, round, vehicleId, amountMicro, vestsAtRound: vestsAt, because: scoresHash }),
    );
  const paid: PaidRoundRecord = {
    docType: 'paidRound',
    schemaVersion: 1,
    taskId,
    round,
    scoresHash,
    paidMicro: entries.reduce((sum, { amountMicro }) => sum + amountMicro, 0),
    medianMicro,
    vehicles: entries.length,
  };
  return { paid, entries };
}

/** What a round is worth to a vehicle that was kept from it, whether it was paid already or not. */
export function worthOf(task: Task, { scores }: Pick<RewardedRound, 'scores'>): number {
  return medianReward(rewardsOf(requireRewards(task).poolMicro, scores.scores.evidence?.contributionMicro ?? []));
}

/**
 * What a round that counted a vehicle less than its class leaves it short of the median of what its members earned; 0 where it
 * counted in full, or earned as much.
 */
export function shortfallOf(task: Task, vehicleId: string, rewarded: Pick<RewardedRound, 'cohort' | 'scores'>): number {
  const { amounts, medianMicro } = earnedIn(requireRewards(task), rewarded);
  const index = rewarded.cohort.members.findIndex((member) => member.vehicleId === vehicleId);
  const inFull = task.aggregation.weightClasses[rewarded.cohort.members[index]?.weightClass ?? -1]?.weight ?? 0;
  const isLessened = (rewarded.scores.scores.weights[index] ?? 0) < inFull;
  return isLessened ? Math.max(0, medianMicro - (amounts[index]?.amountMicro ?? 0)) : 0;
}

/** A round that a vehicle was kept from, or that counted it less, and what it is owed for it. */
export interface OwedRound {
  readonly round: number;
  readonly owedMicro: number;
}

/** Makes a cleared vehicle whole: what it is owed for each round, as others got for it. */
export function compensationsOf(
  task: Task,
  vehicleId: string,
  owed: readonly OwedRound[],
  incidentId: string,
): JournalEntry[] {
  const { taskId } = task;
  const terms = requireRewards(task);
  return owed
    .filter(({ owedMicro }) => owedMicro > 0)
    .map(({ round, owedMicro }) =>
      earning('compensation', {
        ...{ taskId, round, vehicleId, amountMicro: owedMicro },
        vestsAtRound: vestsAtRound(terms, task, round),
        because: incidentId,
      }),
    );
}

/** Rounds up to the last finalised one whose rewards have not vested. */
export function unvestedRounds({ vestingRounds }: RewardTerms, lastFinalised: number): number[] {
  const first = Math.max(1, lastFinalised - vestingRounds + 1);
  return Array.from({ length: Math.max(0, lastFinalised - first + 1) }, (_, index) => first + index);
}

/**
 * What a vehicle loses when an incident about it is confirmed.
 *
 * @param entries - its movements; those that have vested, or were forfeited before, are left as they are.
 */
export function forfeitsOf(
  entries: readonly JournalEntry[],
  lastFinalised: number,
  incidentId: string,
): JournalEntry[] {
  const gone = forfeitedRounds(entries);
  const byRound = new Map<number, JournalEntry>();
  for (const { from, to, ...entry } of entries) {
    if (entry.kind !== 'forfeit' && entry.vestsAtRound > lastFinalised && !gone.has(entry.round)) {
      const amountMicro = entry.amountMicro + (byRound.get(entry.round)?.amountMicro ?? 0);
      const forfeit = { ...entry, kind: 'forfeit', amountMicro, from: to, to: from, because: incidentId } as const;
      byRound.set(entry.round, forfeit);
    }
  }
  return [...byRound.values()];
}

/**
 * What a vehicle has, by its movements.
 *
 * @param entries - of one vehicle.
 */
export function statementOf(
  taskId: string,
  vehicleId: string,
  entries: readonly JournalEntry[],
  lastFinalised: number,
): RewardStatement {
  const gone = forfeitedRounds(entries);
  const kept = entries.filter(({ kind, round }) => kind !== 'forfeit' && !gone.has(round));
  const hasVested = ({ vestsAtRound }: JournalEntry): boolean => vestsAtRound <= lastFinalised;
  return {
    taskId,
    vehicleId,
    entries,
    vestedMicro: sumOf(kept.filter(hasVested)),
    pendingMicro: sumOf(kept.filter((entry) => !hasVested(entry))),
    forfeitedMicro: sumOf(entries.filter(({ kind }) => kind === 'forfeit')),
  };
}

/** The balances of all accounts that movements touch; they add up to nothing. */
export function balancesOf(entries: readonly JournalEntry[]): ReadonlyMap<string, number> {
  const balances = new Map<string, number>();
  for (const { from, to, amountMicro } of entries) {
    balances.set(from, (balances.get(from) ?? 0) - amountMicro);
    balances.set(to, (balances.get(to) ?? 0) + amountMicro);
  }
  return balances;
}

function earnedIn({ poolMicro }: RewardTerms, { cohort, scores }: Pick<RewardedRound, 'cohort' | 'scores'>): Earned {
  const { evidence } = scores.scores;
  if (evidence === undefined) {
    throw new ContractError('REWARDS_NONE', 'the scores of the round name no contributions');
  }
  const rewards = rewardsOf(poolMicro, evidence.contributionMicro);
  const amounts = cohort.members.map(({ vehicleId }, index) => ({ vehicleId, amountMicro: rewards[index] ?? 0 }));
  return { amounts, medianMicro: medianReward(rewards) };
}

type Earning = Pick<JournalEntry, 'taskId' | 'round' | 'vehicleId' | 'amountMicro' | 'vestsAtRound' | 'because'>;

/** A movement from the task's pool to a vehicle. */
function earning(kind: 'reward' | 'compensation', earned: Earning): JournalEntry {
  const { taskId, vehicleId } = earned;
  const accounts = { from: poolAccount(taskId), to: vehicleAccount(taskId, vehicleId) };
  return { docType: 'journalEntry', schemaVersion: 1, kind, ...earned, ...accounts };
}

/** Of a round a vehicle has one reward and one compensation at the most; a forfeit is of all that it has. */
function forfeitedRounds(entries: readonly JournalEntry[]): ReadonlySet<number> {
  return new Set(entries.filter(({ kind }) => kind === 'forfeit').map(({ round }) => round));
}

function sumOf(entries: readonly JournalEntry[]): number {
  return entries.reduce((sum, { amountMicro }) => sum + amountMicro, 0);
}
