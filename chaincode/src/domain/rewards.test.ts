// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { poolAccount, rewardsOf, vehicleAccount, type JournalEntry } from '../api';
import { balancesOf, compensationsOf, forfeitsOf, statementOf, unvestedRounds } from './rewards';
import { rewardedTask } from '../testing/incidents';

const TASK = rewardedTask();
const { taskId } = TASK;
const contributions = fc.array(fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }), { maxLength: 30 });
const pool = fc.integer({ min: 1, max: 1_000_000_000_000 });

describe('Rewards of a round', () => {
  it('never pay more than the pool, and leave less of it than there are vehicles with a reward', () => {
    fc.assert(
      fc.property(pool, contributions, (poolMicro, values) => {
        const amounts = rewardsOf(poolMicro, values);
        const paid = amounts.reduce((sum, amount) => sum + amount, 0);
        const positive = values.filter((value) => value > 0).length;
        expect(amounts).to.have.length(values.length);
        expect(paid).to.be.at.most(poolMicro);
        expect(poolMicro - paid).to.be.below(positive === 0 ? Infinity : positive);
      }),
    );
  });

  it('are nothing for who contributed nothing, and never less for who contributed more', () => {
    fc.assert(
      fc.property(pool, contributions, (poolMicro, values) => {
        const amounts = rewardsOf(poolMicro, values);
        values.forEach((value, i) => {
          expect(amounts[i]).to.be.at.least(0);
          if (value <= 0) {
            expect(amounts[i]).to.equal(0);
          }
          values.forEach((other, j) => {
            expect(value > other && amounts[i]! < amounts[j]!, `${value} and ${other}`).to.equal(false);
          });
        });
      }),
    );
  });

  it('do not depend on the order of the vehicles, nor on the unit of the contributions', () => {
    fc.assert(
      fc.property(pool, contributions, (poolMicro, values) => {
        const amounts = rewardsOf(poolMicro, values);
        expect(rewardsOf(poolMicro, [...values].reverse())).to.deep.equal([...amounts].reverse());
        const tens = values.map((value) => value * 10);
        expect(rewardsOf(poolMicro, tens)).to.deep.equal(amounts);
      }),
    );
  });
});

/** A vehicle's earnings, each of another round. */
const earnings = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 })), {
    selector: ([round]) => round,
    maxLength: 20,
  })
  .map((rows) => rows.map(([round, amount]) => earned('v-1', round, amount)));

function earned(vehicleId: string, round: number, amountMicro: number): JournalEntry {
  return {
    ...{ docType: 'journalEntry', schemaVersion: 1, kind: 'reward', taskId, round, vehicleId, amountMicro },
    ...{ from: poolAccount(taskId), to: vehicleAccount(taskId, vehicleId) },
    ...{ vestsAtRound: round + 2, because: 'scores' },
  };
}

describe('The journal', () => {
  it('keeps what there is: out of the pool went what had vested and what was owed, whatever was forfeited', () => {
    const missed = fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 5 });
    fc.assert(
      fc.property(earnings, fc.integer({ min: 0, max: 22 }), missed, (entries, lastFinalised, medians) => {
        const rounds = medians.map((medianMicro, index) => ({ round: index + 1, owedMicro: medianMicro }));
        const compensations = compensationsOf(TASK, 'v-2', rounds, 'incident-1');
        const journal = [...entries, ...forfeitsOf(entries, lastFinalised, 'incident-1'), ...compensations];
        const vested = entries.filter(({ round }) => round + 2 <= lastFinalised).map(({ amountMicro }) => amountMicro);
        const left = [...vested, ...medians].reduce((sum, amount) => sum + amount, 0);
        expect(balancesOf(journal).get(poolAccount(taskId)) ?? 0).to.equal(0 - left);
        const { vestedMicro, pendingMicro, forfeitedMicro } = statementOf(taskId, 'v-1', entries, lastFinalised);
        const total = entries.reduce((sum, { amountMicro }) => sum + amountMicro, 0);
        expect(vestedMicro + pendingMicro + forfeitedMicro).to.equal(total);
      }),
    );
  });

  it('leaves a culprit exactly what had vested, however often it is condemned', () => {
    fc.assert(
      fc.property(earnings, fc.integer({ min: 0, max: 22 }), (entries, lastFinalised) => {
        const before = statementOf(taskId, 'v-1', entries, lastFinalised);
        const journal = [...entries, ...forfeitsOf(entries, lastFinalised, 'incident-1')];
        const after = statementOf(taskId, 'v-1', journal, lastFinalised);
        expect(after).to.include({ vestedMicro: before.vestedMicro, pendingMicro: 0 });
        expect(after.forfeitedMicro).to.equal(before.pendingMicro);
        expect(balancesOf(journal).get(vehicleAccount(taskId, 'v-1')) ?? 0).to.equal(before.vestedMicro);
        expect(forfeitsOf(journal, lastFinalised, 'incident-2')).to.deep.equal([]);
      }),
    );
  });

  it('looks for what has not vested where it can be, and nowhere else', () => {
    const terms = (vestingRounds: number) => ({ poolMicro: 1, vestingRounds });
    expect(unvestedRounds(terms(2), 5)).to.deep.equal([4, 5]);
    expect(unvestedRounds(terms(0), 5)).to.deep.equal([]);
    expect(unvestedRounds(terms(9), 3)).to.deep.equal([1, 2, 3]);
    expect(unvestedRounds(terms(9), 0)).to.deep.equal([]);
    fc.assert(
      fc.property(earnings, fc.integer({ min: 0, max: 22 }), (entries, last) => {
        const known = entries.filter(({ round }) => round <= last);
        const rounds = forfeitsOf(known, last, 'incident-1').map(({ round }) => round);
        expect(unvestedRounds(terms(2), last)).to.include.members(rounds);
      }),
    );
  });
});
