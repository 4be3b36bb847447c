// SPDX-License-Identifier: Apache-2.0
import type { PaidRoundRecord, RoundRecord, Task } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { RewardsContract } from '../ledger/rewards.js';
import { silentLog } from '../services/log.js';
import type { LearningContract } from '../services/rounds.js';
import { Federation } from '../testing/federation.js';
import { RoundPayer } from './round-payer.js';

const { task: unpaid } = new Federation({ secure: {} });
const task: Task = { ...unpaid, rewards: { poolMicro: 1_000, vestingRounds: 1 } };

describe('Paying rounds', () => {
  /** @param fails rounds that cannot be paid. */
  function scene(fails: ReadonlySet<number> = new Set()) {
    const paid: number[] = [];
    const asked: number[] = [];
    const states = ['finalised', 'finalised', 'finalised', 'open'];
    const learning = {
      rounds: async function* () {
        await Promise.resolve();
        yield* states.map((state, index) => ({ round: index + 1, state }) as RoundRecord);
      },
    } as unknown as LearningContract;
    const rewards = {
      payRound: async ({ round }: { round: number }) => {
        await Promise.resolve();
        asked.push(round);
        if (fails.has(round)) {
          throw new Error('the ledger is away');
        }
        paid.push(round);
      },
      paidRounds: async function* () {
        await Promise.resolve();
        yield* paid.map((round) => ({ round }) as PaidRoundRecord);
      },
    } as unknown as RewardsContract;
    return { paid, asked, payer: new RoundPayer({ learning, rewards, log: silentLog }) };
  }

  it('is beside the rounds, in their order, and each once', async () => {
    const { paid, payer } = scene();
    payer.pay(task, 1);
    payer.pay(task, 2);
    expect(paid, 'nobody has waited').to.deep.equal([]);
    await payer.idle();
    expect(paid).to.deep.equal([1, 2]);
  });

  it('does nothing where the task pays nothing', async () => {
    const { asked, payer } = scene();
    payer.pay(unpaid, 1);
    payer.catchUp(unpaid);
    await payer.idle();
    expect(asked).to.deep.equal([]);
  });

  it('fails alone, and is made up for by the next coordinator', async () => {
    const fails = new Set([1]);
    const { paid, payer } = scene(fails);
    payer.pay(task, 1);
    payer.pay(task, 2);
    await payer.idle();
    expect(paid).to.deep.equal([2]);
    fails.clear();
    payer.catchUp(task);
    await payer.idle();
    expect(paid, 'finalised and not paid; the open round is not').to.deep.equal([2, 1, 3]);
  });
});
