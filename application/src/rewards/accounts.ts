// SPDX-License-Identifier: Apache-2.0
import { poolAccount, vehicleAccount, type JournalEntry, type PaidRoundRecord } from '@sev/chaincode/api';

/** What one vehicle has of a task's rewards, in millionths. */
export interface VehicleRewards {
  readonly vehicleId: string;
  readonly rounds: number;
  readonly vestedMicro: number;
  readonly pendingMicro: number;
  readonly forfeitedMicro: number;
  readonly compensatedMicro: number;
}

/** A task's book of accounts, added up. */
export interface RewardTotals {
  readonly entries: number;
  readonly roundsPaid: number;
  readonly rewardedMicro: number;
  readonly compensatedMicro: number;
  readonly forfeitedMicro: number;
  /** What the pool has given and not taken back. */
  readonly outOfPoolMicro: number;
  readonly vestedMicro: number;
  readonly pendingMicro: number;
  /** By what vehicles have; the highest first. */
  readonly vehicles: readonly VehicleRewards[];
  /** What does not add up; empty where the book is in order. */
  readonly problems: readonly string[];
}

/**
 * Adds up a task's journal. Every movement leaves one account and enters another, so all balances together are nothing; and
 * each round's rewards are what the ledger says was paid for it.
 *
 * @param lastFinalised round up to which rewards have vested.
 */
export function addUp(
  taskId: string,
  journal: readonly JournalEntry[],
  paid: readonly PaidRoundRecord[],
  lastFinalised: number,
): RewardTotals {
  const sum = (entries: readonly JournalEntry[]): number => entries.reduce((total, one) => total + one.amountMicro, 0);
  const ofKind = (kind: JournalEntry['kind']): JournalEntry[] => journal.filter((entry) => entry.kind === kind);
  const vehicles = [...groupedByVehicle(journal)]
    .map(([vehicleId, entries]) => vehicleRewards(vehicleId, entries, lastFinalised))
    .sort((a, b) => held(b) - held(a) || (a.vehicleId < b.vehicleId ? -1 : 1));
  const balances = balancesOf(journal);
  return {
    entries: journal.length,
    roundsPaid: paid.length,
    rewardedMicro: sum(ofKind('reward')),
    compensatedMicro: sum(ofKind('compensation')),
    forfeitedMicro: sum(ofKind('forfeit')),
    outOfPoolMicro: 0 - (balances.get(poolAccount(taskId)) ?? 0),
    vestedMicro: vehicles.reduce((total, one) => total + one.vestedMicro, 0),
    pendingMicro: vehicles.reduce((total, one) => total + one.pendingMicro, 0),
    vehicles,
    problems: problemsIn(taskId, journal, paid, balances, vehicles),
  };
}

function held({ vestedMicro, pendingMicro }: VehicleRewards): number {
  return vestedMicro + pendingMicro;
}

function groupedByVehicle(journal: readonly JournalEntry[]): Map<string, JournalEntry[]> {
  const groups = new Map<string, JournalEntry[]>();
  for (const entry of journal) {
    groups.set(entry.vehicleId, [...(groups.get(entry.vehicleId) ?? []), entry]);
  }
  return groups;
}

function vehicleRewards(vehicleId: string, entries: readonly JournalEntry[], lastFinalised: number): VehicleRewards {
  const gone = new Set(entries.filter(({ kind }) => kind === 'forfeit').map(({ round }) => round));
  let [vestedMicro, pendingMicro, forfeitedMicro, compensatedMicro] = [0, 0, 0, 0];
  for (const { kind, round, amountMicro, vestsAtRound } of entries) {
    forfeitedMicro += kind === 'forfeit' ? amountMicro : 0;
    compensatedMicro += kind === 'compensation' ? amountMicro : 0;
    const isKept = kind !== 'forfeit' && !gone.has(round);
    vestedMicro += isKept && vestsAtRound <= lastFinalised ? amountMicro : 0;
    pendingMicro += isKept && vestsAtRound > lastFinalised ? amountMicro : 0;
  }
  const rounds = entries.filter(({ kind }) => kind === 'reward').length;
  return { vehicleId, rounds, vestedMicro, pendingMicro, forfeitedMicro, compensatedMicro };
}

/** By account: what entered less what left. */
function balancesOf(journal: readonly JournalEntry[]): Map<string, number> {
  const balances = new Map<string, number>();
  for (const { from, to, amountMicro } of journal) {
    balances.set(from, (balances.get(from) ?? 0) - amountMicro);
    balances.set(to, (balances.get(to) ?? 0) + amountMicro);
  }
  return balances;
}

function problemsIn(
  taskId: string,
  journal: readonly JournalEntry[],
  paid: readonly PaidRoundRecord[],
  balances: ReadonlyMap<string, number>,
  vehicles: readonly VehicleRewards[],
): string[] {
  const total = [...balances.values()].reduce((sum, balance) => sum + balance, 0);
  const stray = journal.filter((entry) => !isWellFormed(taskId, entry));
  const wrongRounds = paid.filter((record) => record.paidMicro !== rewardsOfRound(journal, record.round));
  const unpaid = journal.filter(({ kind, round }) => kind === 'reward' && !paid.some((one) => one.round === round));
  const wrongVehicles = vehicles.filter(
    (one) => held(one) !== (balances.get(vehicleAccount(taskId, one.vehicleId)) ?? 0),
  );
  return [
    ...(total === 0 ? [] : [`all balances add up to ${String(total)}, not to nothing`]),
    ...stray.map(({ kind, round, vehicleId }) => `a ${kind} of round ${String(round)} for ${vehicleId} is malformed`),
    ...wrongRounds.map(
      ({ round, paidMicro }) => `round ${String(round)} paid ${String(paidMicro)}; its rewards differ`,
    ),
    ...unpaid.map(({ round, vehicleId }) => `a reward of round ${String(round)} for ${vehicleId} without its payment`),
    ...wrongVehicles.map(({ vehicleId }) => `what ${vehicleId} has is not its balance`),
  ];
}

/** From the task's pool to the vehicle, a forfeit the other way; whole and more than nothing. */
function isWellFormed(taskId: string, { kind, vehicleId, from, to, amountMicro, ...entry }: JournalEntry): boolean {
  const accounts = [poolAccount(taskId), vehicleAccount(taskId, vehicleId)];
  const [source, target] = kind === 'forfeit' ? accounts.reverse() : accounts;
  const isAmount = Number.isSafeInteger(amountMicro) && amountMicro > 0;
  return isAmount && entry.taskId === taskId && from === source && to === target;
}

function rewardsOfRound(journal: readonly JournalEntry[], round: number): number {
  return journal
    .filter((entry) => entry.kind === 'reward' && entry.round === round)
    .reduce((sum, { amountMicro }) => sum + amountMicro, 0);
}
