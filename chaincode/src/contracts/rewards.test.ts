// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  poolAccount,
  vehicleAccount,
  type JournalEntry,
  type Page,
  type PaidRoundRecord,
  type ScoresRecord,
} from '../api';
import { balancesOf } from '../domain/rewards';
import { CITY, GRID, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, newVehicle, type Vehicle } from '../testing/fleet';
import { IncidentDriver, POOL_MICRO, rewardedTask } from '../testing/incidents';
import { INITIAL_MODEL } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { QUARANTINE_MILLI, roundRef, validatedTask, type Judgement } from '../testing/validated-learning';

let consortium: TestConsortium;
let driver: IncidentDriver;
let fleet: Vehicle[];
let suspect: Vehicle;
let base: string;

async function fresh(task = rewardedTask()): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new IncidentDriver(consortium, task);
  fleet = await enrolledFleet(consortium, 5);
  suspect = fleet[0]!;
  base = INITIAL_MODEL;
}

/** What each vehicle of the fleet contributes: 1, 2, 3, … but for the suspect, which contributes as much as said. */
function contributions(suspects: number, suspicionMilli = 0): Record<string, Judgement> {
  const honest = fleet.map(({ vehicleId }, index): [string, Judgement] => [vehicleId, { contributionMicro: index }]);
  return {
    ...Object.fromEntries(honest),
    [suspect.vehicleId]: { contributionMicro: suspects, suspicionMilli },
  };
}

async function runRounds(from: number, to: number, vehicles = fleet, judgements = contributions(10)): Promise<void> {
  for (let round = from; round <= to; round += 1) {
    base = await driver.runRound(vehicles, roundRef(round), base, judgements);
  }
}

async function amountsOf(vehicle: Vehicle): Promise<readonly [string, number, number][]> {
  return (await driver.statement(vehicle)).entries.map(({ kind, round, amountMicro }) => [kind, round, amountMicro]);
}

/** What left the pool is what scores share out of it, less what came back, plus what cleared vehicles were owed; no round's exceeds it. */
async function expectConserved(): Promise<void> {
  const journal = await driver.journal();
  const ofKind = (kind: JournalEntry['kind']) => journal.filter((entry) => entry.kind === kind);
  const sumOf = (entries: readonly JournalEntry[]) => entries.reduce((sum, { amountMicro }) => sum + amountMicro, 0);
  const rewards = ofKind('reward');
  const rounds = new Set(rewards.map(({ round }) => round));
  for (const round of rounds) {
    const ref = roundRef(round);
    const { scores } = await consortium.evaluate<ScoresRecord>('learning:GetScores', ref);
    const { members } = await driver.cohort(ref);
    const shares = scores.evidence!.contributionMicro.map((value) => Math.max(0, value));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const ofRound = rewards.filter((entry) => entry.round === round);
    for (const { vehicleId, amountMicro } of ofRound) {
      const share = shares[members.findIndex((member) => member.vehicleId === vehicleId)]!;
      expect(amountMicro).to.equal(Math.floor((POOL_MICRO * share) / total));
    }
    expect(sumOf(ofRound)).to.be.at.most(POOL_MICRO);
  }
  const balances = balancesOf(journal);
  const left = 0 - (balances.get(poolAccount('price-1')) ?? 0);
  expect(left).to.equal(sumOf(rewards) + sumOf(ofKind('compensation')) - sumOf(ofKind('forfeit')));
  expect(left).to.be.at.most(rounds.size * POOL_MICRO + sumOf(ofKind('compensation')));
  for (const [account, balance] of balances) {
    expect(account === poolAccount('price-1') || balance >= 0, `${account} ${balance}`).to.equal(true);
  }
}

describe('A paid round', () => {
  beforeEach(() => fresh());

  it('shares its pool by the contributions of its scores, and is paid once', async () => {
    await runRounds(1, 1);
    const { scoresHash } = await driver.secure();
    const paid = await driver.pay(1);
    // 10, 1, 2, 3 and 4 of 20 contribute.
    expect(paid).to.deep.equal({
      ...{ docType: 'paidRound', schemaVersion: 1, taskId: 'price-1', round: 1, scoresHash },
      ...{ paidMicro: 1_000_000, medianMicro: 150_000, vehicles: 5 },
    });
    expect(await driver.pay(1)).to.deep.equal(paid);
    expect(await driver.journal()).to.have.length(5);
    const { vehicleId } = suspect;
    const { entries, ...sums } = await driver.statement(suspect);
    expect(entries).to.deep.equal([
      {
        ...{ docType: 'journalEntry', schemaVersion: 1, kind: 'reward', taskId: 'price-1', round: 1, vehicleId },
        ...{ from: poolAccount('price-1'), to: vehicleAccount('price-1', vehicleId) },
        ...{ amountMicro: 500_000, vestsAtRound: 3, because: scoresHash },
      },
    ]);
    expect(sums).to.include({ vestedMicro: 0, pendingMicro: 500_000, forfeitedMicro: 0 });
    const page = await consortium.evaluate<Page<PaidRoundRecord>>('rewards:ListPaidRounds', {
      ...{ taskId: 'price-1', pageSize: 10, bookmark: '' },
    });
    expect(page.items).to.deep.equal([paid]);
    await expectConserved();
  });

  it('pays nothing to who contributed nothing, nor anybody where nobody did', async () => {
    await runRounds(1, 1, fleet, contributions(-5));
    await driver.pay(1);
    expect(await amountsOf(suspect)).to.deep.equal([]);
    await runRounds(2, 2, fleet, {});
    expect(await driver.pay(2)).to.include({ paidMicro: 0, medianMicro: 0, vehicles: 0 });
  });

  it('vests once so many further rounds are finalised', async () => {
    await runRounds(1, 2);
    await driver.pay(1);
    expect(await driver.statement(suspect)).to.include({ vestedMicro: 0, pendingMicro: 500_000 });
    await runRounds(3, 3);
    expect(await driver.statement(suspect)).to.include({ vestedMicro: 500_000, pendingMicro: 0 });
  });

  it('vests with the last planned round where no more follow', async () => {
    await fresh(rewardedTask({ plannedRounds: 3 }));
    await runRounds(1, 2);
    await driver.pay(2);
    expect((await driver.statement(suspect)).entries[0]).to.include({ vestsAtRound: 3 });
    await runRounds(3, 3);
    await driver.pay(3);
    expect(await driver.statement(suspect)).to.include({ vestedMicro: 1_000_000, pendingMicro: 0 });
  });

  it('is a finalised one of a task that pays', async () => {
    await driver.closed(fleet);
    await expectRefusal(driver.pay(1), 'ROUND_NOT_FINALISED');
    await expectRefusal(driver.pay(2), 'ROUND_UNKNOWN');
    await fresh(validatedTask());
    await runRounds(1, 1);
    await expectRefusal(driver.pay(1), 'REWARDS_NONE');
  });
});

describe('A statement of rewards', () => {
  it('is empty for whoever earned nothing, and of a task that there is', async () => {
    await fresh();
    await driver.coordinate('CreateTask', driver.task);
    const { vehicleId } = newVehicle();
    const none = { taskId: 'price-1', vehicleId, entries: [], vestedMicro: 0, pendingMicro: 0, forfeitedMicro: 0 };
    expect(await driver.statement({ ...newVehicle(), vehicleId })).to.deep.equal(none);
    const other = consortium.evaluate('rewards:Statement', { taskId: 'price-9', vehicleId });
    await expectRefusal(other, 'TASK_UNKNOWN');
  });
});

describe('A culprit', () => {
  beforeEach(async () => {
    await fresh();
    await runRounds(1, 4);
    await driver.openIncident(suspect, [3, 4]);
  });

  it('loses what had not vested, and nothing else', async () => {
    for (const round of [1, 2, 3, 4]) {
      await driver.pay(round);
    }
    await driver.decide(['projections', 'confirm']);
    // Of four finalised rounds the rewards of the first two have vested.
    expect(await amountsOf(suspect)).to.deep.equal([
      ['reward', 1, 500_000],
      ['reward', 2, 500_000],
      ['reward', 3, 500_000],
      ['forfeit', 3, 500_000],
      ['reward', 4, 500_000],
      ['forfeit', 4, 500_000],
    ]);
    const statement = await driver.statement(suspect);
    expect(statement).to.include({ vestedMicro: 1_000_000, pendingMicro: 0, forfeitedMicro: 1_000_000 });
    expect(statement.entries[3]).to.include({ because: 'incident-1', to: poolAccount('price-1') });
    await expectConserved();
  });

  it('loses the same where rounds are paid after the incident only, and others get no more', async () => {
    await driver.pay(4);
    await driver.decide(['projections', 'confirm']);
    expect(await driver.pay(3)).to.include({ paidMicro: 500_000, vehicles: 4, medianMicro: 150_000 });
    expect(await driver.pay(2)).to.include({ paidMicro: 1_000_000, vehicles: 5 });
    expect(await amountsOf(suspect)).to.deep.equal([
      ['reward', 2, 500_000],
      ['reward', 4, 500_000],
      ['forfeit', 4, 500_000],
    ]);
    await expectConserved();
  });

  it('loses it once, whatever further incidents find', async () => {
    await driver.pay(4);
    await driver.openIncident(suspect, [2], { incidentId: 'incident-2' });
    await driver.decide(['projections', 'confirm']);
    await driver.decide(['projections', 'vectors', 'confirm'], { incidentId: 'incident-2' });
    expect((await driver.statement(suspect)).forfeitedMicro).to.equal(500_000);
    expect((await driver.culprits())[0]).to.include({ incidentId: 'incident-1', opened: true });
  });
});

describe('A cleared vehicle', () => {
  /** Quarantined after round 1; rounds 2 and 3 go on without it, and only round 2 is paid before it is cleared. */
  beforeEach(async () => {
    await fresh();
    await runRounds(1, 1, fleet, contributions(10, QUARANTINE_MILLI));
    await runRounds(2, 3, fleet.slice(1));
    await driver.pay(1);
    await driver.pay(2);
    await driver.openIncident(suspect, [1]);
  });

  it('is made whole: it may report again, begins anew, and gets what others got', async () => {
    expect(await driver.standing(suspect)).to.have.property('quarantined');
    await driver.decide(['projections', 'clear']);
    const standing = await driver.standing(suspect);
    expect(standing).to.include({ suspicionMilli: 0, rounds: 1 }).and.to.not.have.property('quarantined');
    // 1, 2, 3 and 4 of 10 contribute: of an even number the lower of the middle two counts.
    expect(await amountsOf(suspect)).to.deep.equal([
      ['reward', 1, 500_000],
      ['compensation', 2, 200_000],
      ['compensation', 3, 200_000],
    ]);
    expect((await driver.statement(suspect)).entries[2]).to.include({ because: 'incident-1', vestsAtRound: 5 });
    await runRounds(4, 4);
    expect(await driver.standing(suspect)).to.include({ rounds: 2 });
    await expectConserved();
  });

  it('is paid up to what others got for a disputed round that counted it less, and once', async () => {
    await fresh();
    const judgements = contributions(0);
    await driver.closed(fleet);
    await driver.fix();
    const lowered = Object.fromEntries(fleet.slice(0, 2).map(({ vehicleId }) => [vehicleId, 0]));
    await driver.score(roundRef(1), { scores: await driver.judgedScores(judgements, roundRef(1), lowered) });
    await driver.commit();
    await driver.finalise(await driver.proposal(), [GRID, CITY, REGULATOR]);
    await driver.pay(1);
    await driver.openIncident(suspect, [1]);
    await driver.decide(['clear']);
    expect(await amountsOf(suspect)).to.deep.equal([['compensation', 1, 200_000]]);
    await driver.openIncident(suspect, [1], { incidentId: 'incident-2' });
    await driver.decide(['clear'], { incidentId: 'incident-2' });
    expect(await amountsOf(suspect)).to.have.length(1);
    await driver.openIncident(fleet[1]!, [1], { incidentId: 'incident-3' });
    await driver.decide(['clear'], { incidentId: 'incident-3' });
    expect(await amountsOf(fleet[1]!), 'earned 100,000 of the median 200,000').to.deep.equal([
      ['reward', 1, 100_000],
      ['compensation', 1, 100_000],
    ]);
    await driver.openIncident(fleet[1]!, [1], { incidentId: 'incident-4' });
    await driver.decide(['projections', 'confirm'], { incidentId: 'incident-4' });
    expect((await driver.statement(fleet[1]!)).forfeitedMicro).to.equal(200_000);
    await expectConserved();
  });

  it('stays in a quarantine that the incident does not speak of', async () => {
    await fresh();
    await runRounds(1, 1);
    await driver.openIncident(suspect, [1]);
    await runRounds(2, 2, fleet, contributions(10, QUARANTINE_MILLI));
    await driver.openIncident(suspect, [1], { incidentId: 'incident-2' });
    await driver.decide(['clear']);
    expect(await driver.standing(suspect)).to.have.property('quarantined');
    // Opened since, it is about the quarantine, whatever it disputes.
    await driver.decide(['clear'], { incidentId: 'incident-2' });
    expect(await driver.standing(suspect)).to.not.have.property('quarantined');
  });

  it('gets nothing twice, where a round is paid afterwards', async () => {
    await driver.decide(['clear']);
    await driver.pay(3);
    expect(await amountsOf(suspect)).to.have.length(3);
    for (const mspId of [GRID, REGULATOR]) {
      await driver.vote(mspId, 'clear');
    }
    expect(await amountsOf(suspect)).to.have.length(3);
    await expectConserved();
  });

  it('forfeits its compensation, too, where another incident is confirmed while it has not vested', async () => {
    await driver.decide(['clear']);
    await driver.openIncident(suspect, [1], { incidentId: 'incident-2' });
    await driver.decide(['projections', 'confirm'], { incidentId: 'incident-2' });
    expect(await driver.statement(suspect)).to.include({
      ...{ vestedMicro: 500_000, pendingMicro: 0, forfeitedMicro: 400_000 },
    });
    await expectConserved();
  });
});

describe('A cleared vehicle of a task that pays nothing', () => {
  it('begins anew', async () => {
    await fresh(validatedTask());
    await runRounds(1, 1, fleet, contributions(0, QUARANTINE_MILLI));
    await runRounds(2, 2, fleet.slice(1));
    await driver.openIncident(suspect, [1]);
    await driver.decide(['clear']);
    expect(await driver.standing(suspect)).to.include({ suspicionMilli: 0 });
    expect(await driver.journal()).to.deep.equal([]);
  });
});
