// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import type { RewardsContract } from '../ledger/rewards.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { collect, type LearningContract } from '../services/rounds.js';

export interface RoundPayerOptions {
  readonly learning: LearningContract;
  readonly rewards: RewardsContract;
  readonly log: ServiceLog;
}

/**
 * Has finalised rounds paid, beside the rounds that go on: nothing waits for it, and whoever pays a round again changes
 * nothing. A round that could not be paid is paid by the next coordinator that starts, or by `sev rewards pay`.
 */
export class RoundPayer {
  readonly #options: RoundPayerOptions;
  #paying: Promise<unknown> = Promise.resolve();

  constructor(options: RoundPayerOptions) {
    this.#options = options;
  }

  /** Pays a round that is final, after what is being paid already. Where the task pays nothing, nothing is done. */
  pay({ taskId, rewards }: Task, round: number): void {
    if (rewards !== undefined) {
      this.#then(round, () => this.#options.rewards.payRound({ taskId, round }));
    }
  }

  /** Pays what an earlier coordinator left unpaid. */
  catchUp(task: Task): void {
    if (task.rewards !== undefined) {
      this.#then(undefined, async () => {
        for (const round of await unpaidRounds(this.#options, task)) {
          await this.#options.rewards.payRound({ taskId: task.taskId, round });
        }
      });
    }
  }

  /** Resolves once nothing is being paid. */
  async idle(): Promise<void> {
    await this.#paying;
  }

  #then(round: number | undefined, work: () => Promise<unknown>): void {
    const { log } = this.#options;
    this.#paying = this.#paying.then(work).catch((error: unknown) => {
      log.warn({ ...failureFields(error), ...(round === undefined ? {} : { round }) }, 'a round could not be paid');
    });
  }
}

/** Finalised rounds of a task that are not paid yet, ascending. */
export async function unpaidRounds(
  { learning, rewards }: Pick<RoundPayerOptions, 'learning' | 'rewards'>,
  { taskId }: Pick<Task, 'taskId'>,
): Promise<number[]> {
  const [rounds, paid] = await Promise.all([collect(learning.rounds(taskId)), collect(rewards.paidRounds(taskId))]);
  const isPaid = new Set(paid.map(({ round }) => round));
  return rounds
    .filter(({ state, round }) => state === 'finalised' && !isPaid.has(round))
    .map(({ round }) => round)
    .sort((a, b) => a - b);
}
