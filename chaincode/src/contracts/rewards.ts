// SPDX-License-Identifier: Apache-2.0
import { Info, Transaction } from 'fabric-contract-api';
import { listPaidRounds, payRound, rewardJournal, rewardStatement } from '../api';
import { encodeResult, parseArgument } from '../codec';
import * as rules from '../domain/rewards';
import { ConsortiumContract, LedgerContext } from './context';

/** Rewards: a finalised round is paid once, by what its scores say that each vehicle contributed. */
@Info({ title: 'rewards', description: 'Rewards for contributions to federated learning' })
export class RewardsContract extends ConsortiumContract {
  constructor() {
    super('rewards');
  }

  @Transaction()
  async PayRound(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, round: number } = parseArgument(payRound, argument);
    const { learning, rewards, incidents } = ctx;
    const [{ task }, round, existing] = await Promise.all([
      learning.task(taskId),
      learning.round(taskId, number),
      rewards.findPaidRound(taskId, number),
    ]);
    if (existing !== undefined) {
      return encodeResult(existing);
    }
    rules.requireRewards(task);
    rules.requireFinalised(round);
    const [cohort, scores] = await Promise.all([learning.cohort(round), learning.scores(round)]);
    const culprits = await Promise.all(cohort.members.map(({ vehicleId }) => incidents.findCulprit(taskId, vehicleId)));
    const known = culprits.filter((culprit) => culprit !== undefined);
    const { paid, entries } = rules.payRound(task, { round, cohort, scores }, known);
    await Promise.all([rewards.putPaidRound(paid), rewards.putEntries(entries)]);
    ctx.state.emit({ type: 'RoundPaid', taskId, round: number, hash: paid.scoresHash });
    return encodeResult(paid);
  }

  @Transaction(false)
  async Statement(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, vehicleId } = parseArgument(rewardStatement, argument);
    await ctx.learning.task(taskId);
    const lastFinalised = await ctx.learning.lastFinalised(taskId);
    const rounds = Array.from({ length: lastFinalised }, (_, index) => index + 1);
    const entries = await ctx.rewards.entriesOf(taskId, vehicleId, rounds);
    return encodeResult(rules.statementOf(taskId, vehicleId, entries, lastFinalised));
  }

  @Transaction(false)
  async Journal(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, pageSize, bookmark } = parseArgument(rewardJournal, argument);
    return encodeResult(await ctx.rewards.journal(taskId, pageSize, bookmark));
  }

  @Transaction(false)
  async ListPaidRounds(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, pageSize, bookmark } = parseArgument(listPaidRounds, argument);
    return encodeResult(await ctx.rewards.paidRounds(taskId, pageSize, bookmark));
  }
}
