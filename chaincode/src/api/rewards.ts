// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bookmark, identifier, lowerMedian, pageSize, roundNumber } from './primitives';

/**
 * Rewards for contributions: an append-only journal of movements between accounts. A balance is the sum of an account's
 * movements; all movements add up to nothing, because each leaves one account and enters another.
 */

/** Part of a task; absent: it pays nothing. */
export const rewardTerms = z.strictObject({
  /** What one finalised round pays out at the most, in millionths of the consortium's unit of account. */
  poolMicro: z.int().min(1).max(1_000_000_000_000),
  /** A reward vests once so many further rounds of the task are finalised, or its last one: the window of the traceback. */
  vestingRounds: z.int().min(0).max(10_000),
});
export type RewardTerms = z.infer<typeof rewardTerms>;

/**
 * The round of a task with which a reward vests. None is finalised after the last planned one, so no reward waits for one.
 */
export function vestsAtRound(
  { vestingRounds }: Pick<RewardTerms, 'vestingRounds'>,
  { plannedRounds }: { readonly plannedRounds: number },
  round: number,
): number {
  return Math.min(round + vestingRounds, plannedRounds);
}

/** `pool/<task>` pays rewards and takes forfeits back; `vehicle/<task>/<vehicle>` earns. */
export type Account = string;

export function poolAccount(taskId: string): Account {
  return `pool/${taskId}`;
}

export function vehicleAccount(taskId: string, vehicleId: string): Account {
  return `vehicle/${taskId}/${vehicleId}`;
}

/** One movement. Its key is (task, round, vehicle, kind): none is written twice. */
export interface JournalEntry {
  readonly docType: 'journalEntry';
  readonly schemaVersion: 1;
  /**
   * - `reward`: of a finalised round, for its contribution.
   * - `forfeit`: what had not vested of a round when an incident was confirmed, back to the pool.
   * - `compensation`: of a round that a cleared vehicle was kept from by its quarantine, or that counted it less.
   */
  readonly kind: 'reward' | 'forfeit' | 'compensation';
  readonly taskId: string;
  readonly round: number;
  readonly vehicleId: string;
  readonly from: Account;
  readonly to: Account;
  readonly amountMicro: number;
  /** The reward is the vehicle's to keep once this round of the task is finalised. */
  readonly vestsAtRound: number;
  /** What it follows from: hash of the round's scores, or id of the incident. */
  readonly because: string;
}

/**
 * Shares a pool in proportion to the positive contributions, rounded down; what is left stays in the pool.
 *
 * @param contributionsMicro - one a member of the cohort.
 * @returns amounts in the same order; all 0 where nobody contributed.
 */
export function rewardsOf(poolMicro: number, contributionsMicro: readonly number[]): number[] {
  const positive = contributionsMicro.map((value) => BigInt(Math.max(0, value)));
  const total = positive.reduce((sum, value) => sum + value, 0n);
  return positive.map((value) => (total === 0n ? 0 : Number((BigInt(poolMicro) * value) / total)));
}

/** Of the amounts above nothing; of an even number the lower of the middle two, of none 0. */
export function medianReward(amounts: readonly number[]): number {
  return lowerMedian(amounts.filter((amount) => amount > 0));
}

/** rewards:PayRound — by any coordinator, once the round is finalised; what follows from the scores is paid, and once. */
export const payRound = z.strictObject({ taskId: identifier, round: roundNumber });
export type PayRound = z.infer<typeof payRound>;

/** What paying a round came to. */
export interface PaidRoundRecord {
  readonly docType: 'paidRound';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly round: number;
  readonly scoresHash: string;
  readonly paidMicro: number;
  /**
   * Of the amounts above nothing that follow from the scores the median, of an even number the lower of the middle two: what
   * the round is worth to a vehicle that was kept from it wrongly.
   */
  readonly medianMicro: number;
  /** Vehicles that were paid. */
  readonly vehicles: number;
}

/** rewards:Statement — query: all movements of one vehicle in a task. rewards:Journal — query: all of a task, in pages. */
export const rewardStatement = z.strictObject({ taskId: identifier, vehicleId: z.string().min(1).max(100) });
export const rewardJournal = z.strictObject({ taskId: identifier, pageSize, bookmark });
/** rewards:ListPaidRounds → Page<PaidRoundRecord> */
export const listPaidRounds = z.strictObject({ taskId: identifier, pageSize, bookmark });

export interface RewardStatement {
  readonly taskId: string;
  readonly vehicleId: string;
  readonly entries: readonly JournalEntry[];
  readonly vestedMicro: number;
  readonly pendingMicro: number;
  readonly forfeitedMicro: number;
}
