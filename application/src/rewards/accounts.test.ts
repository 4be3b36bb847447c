// SPDX-License-Identifier: Apache-2.0
import { poolAccount, vehicleAccount, type JournalEntry, type PaidRoundRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import fc from 'fast-check';
import { addUp } from './accounts.js';

const TASK = 'price-1';
const ids = ['a', 'b', 'c', 'd'];

function entry(kind: JournalEntry['kind'], round: number, vehicleId: string, amountMicro: number): JournalEntry {
  const [pool, own] = [poolAccount(TASK), vehicleAccount(TASK, vehicleId)];
  const accounts = kind === 'forfeit' ? { from: own, to: pool } : { from: pool, to: own };
  return {
    ...{ docType: 'journalEntry', schemaVersion: 1, kind, taskId: TASK, round, vehicleId, amountMicro },
    ...{ ...accounts, vestsAtRound: round + 3, because: 'x' },
  };
}
const paidFor = (journal: readonly JournalEntry[]): PaidRoundRecord[] =>
  [...new Set(journal.filter(({ kind }) => kind === 'reward').map(({ round }) => round))].map((round) => {
    const own = journal.filter((one) => one.kind === 'reward' && one.round === round);
    const paidMicro = own.reduce((sum, { amountMicro }) => sum + amountMicro, 0);
    return {
      ...{ docType: 'paidRound', schemaVersion: 1, taskId: TASK, round, scoresHash: '' },
      ...{ paidMicro, medianMicro: 0, vehicles: own.length },
    };
  });

/** Rewards of some vehicles in some rounds, of which some are forfeited, and compensations of others. */
const journals = fc
  .array(
    fc.record({
      round: fc.integer({ min: 1, max: 12 }),
      vehicle: fc.constantFrom(...ids),
      amount: fc.integer({ min: 1, max: 1_000_000_000 }),
      fate: fc.constantFrom('kept', 'forfeited', 'compensation'),
    }),
    { maxLength: 60 },
  )
  .map((drawn) => [...new Map(drawn.map((one) => [`${String(one.round)}${one.vehicle}`, one])).values()])
  .map((drawn) =>
    drawn.flatMap(({ round, vehicle, amount, fate }) =>
      fate === 'compensation'
        ? [entry('compensation', round, vehicle, amount)]
        : [
            entry('reward', round, vehicle, amount),
            ...(fate === 'forfeited' ? [entry('forfeit', round, vehicle, amount)] : []),
          ],
    ),
  );

describe('The book of rewards', () => {
  it('is conserved: what left the pool is what vehicles have, vested or not', () => {
    fc.assert(
      fc.property(journals, fc.integer({ min: 0, max: 16 }), (journal, last) => {
        const totals = addUp(TASK, journal, paidFor(journal), last);
        expect(totals.problems).to.deep.equal([]);
        expect(totals.vestedMicro + totals.pendingMicro).to.equal(totals.outOfPoolMicro);
        const { rewardedMicro, compensatedMicro, forfeitedMicro } = totals;
        expect(rewardedMicro + compensatedMicro - forfeitedMicro).to.equal(totals.outOfPoolMicro);
      }),
    );
  });

  it('tells what has vested from what may still be forfeited', () => {
    const journal = [
      ...[1, 2, 3].map((round) => entry('reward', round, 'a', 100)),
      entry('forfeit', 3, 'a', 100),
      entry('compensation', 2, 'b', 30),
    ];
    const { vehicles } = addUp(TASK, journal, paidFor(journal), 4);
    expect(vehicles).to.deep.equal([
      {
        ...{ vehicleId: 'a', rounds: 3, vestedMicro: 100, pendingMicro: 100 },
        ...{ forfeitedMicro: 100, compensatedMicro: 0 },
      },
      {
        ...{ vehicleId: 'b', rounds: 0, vestedMicro: 0, pendingMicro: 30 },
        ...{ forfeitedMicro: 0, compensatedMicro: 30 },
      },
    ]);
  });

  it('names what does not add up', () => {
    const journal = [entry('reward', 1, 'a', 100), entry('reward', 1, 'b', 50)];
    const paid = paidFor(journal);
    const problems = (changed: readonly JournalEntry[], rounds = paid): string =>
      addUp(TASK, changed, rounds, 9).problems.join('; ');
    expect(problems(journal)).to.equal('');
    expect(problems(journal.slice(1))).to.include('round 1 paid 150');
    expect(problems(journal, [])).to.include('without its payment');
    expect(problems([{ ...journal[0]!, from: 'pool/other' }, journal[1]!])).to.include('malformed');
    expect(problems([{ ...journal[0]!, amountMicro: -100 }, journal[1]!])).to.include('malformed');
    expect(problems([...journal, entry('forfeit', 2, 'a', 40)])).to.include('not its balance');
  });
});
