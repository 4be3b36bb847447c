// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { sumsMicroRho, TIME_MARGIN_MS, type Task } from '../api';
import { CITY, GRID, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { INITIAL_MODEL, ROUND_1, taskOf } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { dpTask, SecureDriver, secureTask } from '../testing/secure-learning';

const MAJORITY = [GRID, CITY, REGULATOR];

let driver: SecureDriver;
let fleet: Vehicle[];

async function fresh(task: Task, size = 4): Promise<void> {
  const consortium = await TestConsortium.bootstrapped();
  driver = new SecureDriver(consortium, task);
  fleet = await enrolledFleet(consortium, size);
}
const attempt = (number: number, round = 1) => ({ ...ROUND_1, round, attempt: number });
const finish = async (ref = ROUND_1): Promise<string> => {
  const proposal = await driver.proposal(ref);
  await driver.finalise(proposal, MAJORITY);
  return proposal.modelHash;
};

describe('The budget of differential privacy', () => {
  const charge = Number(sumsMicroRho(dpTask()));

  it('is charged when sums are committed, and carried over aborts and rounds', async () => {
    await fresh(dpTask({ budgetMicroRho: 3 * charge }));
    await driver.closed(fleet);
    await driver.fix();
    await driver.score();
    expect((await driver.secure()).chargedMicroRho).to.equal(0);
    expect((await driver.commit()).secure?.chargedMicroRho).to.equal(charge);
    expect((await driver.commit()).secure?.chargedMicroRho, 'repeated').to.equal(charge);
    await driver.abort();
    await driver.closed(fleet, attempt(2));
    expect((await driver.secure(attempt(2))).chargedMicroRho).to.equal(charge);
    await driver.aggregated(attempt(2));
    const model = await finish(attempt(2));
    await driver.closed(fleet, attempt(1, 2), model);
    expect((await driver.secure(attempt(1, 2))).chargedMicroRho).to.equal(2 * charge);
    await driver.aggregated(attempt(1, 2));
    const last = await finish(attempt(1, 2));
    const third = driver.open(attempt(1, 3), last);
    const refusal = await expectRefusal(third, 'PRIVACY_BUDGET_EXCEEDED');
    expect(refusal.detail).to.include(String(3 * charge));
  });

  it('is not charged for an attempt whose sums were never committed', async () => {
    await fresh(dpTask({ budgetMicroRho: charge }));
    await driver.closed(fleet);
    await driver.fix();
    await driver.score();
    await driver.abort();
    await driver.closed(fleet, attempt(2));
    await driver.aggregated(attempt(2));
    await driver.abort(attempt(2));
    await expectRefusal(driver.open(attempt(3)), 'PRIVACY_BUDGET_EXCEEDED');
  });
});

describe('The budget of opened projections', () => {
  it('is spent when a cohort is fixed, aborted attempts included', async () => {
    // ⌊19 · 0.32⌋ = 6 projections, 2 a round.
    await fresh(secureTask({ openedShareMilli: 68 }));
    await driver.closed(fleet);
    await driver.abort();
    await driver.closed(fleet, attempt(2));
    expect((await driver.secure()).openedProjections).to.equal(0);
    await driver.fix(attempt(2));
    await driver.abort(attempt(2));
    await driver.closed(fleet, attempt(3));
    expect((await driver.secure()).openedProjections).to.equal(2);
    await driver.aggregated(attempt(3));
    const model = await finish(attempt(3));
    await driver.closed(fleet, attempt(1, 2), model);
    await driver.aggregated(attempt(1, 2));
    expect((await driver.secure(attempt(1, 2))).openedProjections).to.equal(6);
    const last = await finish(attempt(1, 2));
    await expectRefusal(driver.open(attempt(1, 3), last), 'PROJECTION_BUDGET_EXCEEDED');
  });

  it('does not end a task that opens none', async () => {
    await fresh(secureTask({ projections: 0, rule: 'uniform', openedShareMilli: 1 }));
    await driver.closed(fleet);
    await driver.aggregated();
    expect((await driver.secure()).openedProjections).to.equal(0);
  });
});

describe('Sums of a further attempt', () => {
  const MINIMUM = 3;
  beforeEach(() => fresh(secureTask({}, { cohort: { minimum: MINIMUM, target: 4 } }), 10));
  const shown = async (vehicles: readonly Vehicle[]): Promise<void> => {
    await driver.closed(vehicles);
    await driver.aggregated();
    await driver.abort();
  };

  it('are of the same vehicles with the same weights', async () => {
    await shown(fleet.slice(0, 5));
    await driver.closed(fleet.slice(0, 5), attempt(2));
    const again = await driver.aggregated(attempt(2));
    expect(again.secure).to.deep.include({ shownAttempts: [1, 2].map((number) => ({ round: 1, attempt: number })) });
  });

  it('or differ in as many as a cohort has', async () => {
    await shown(fleet.slice(0, 5));
    await driver.closed(fleet.slice(0, 8), attempt(2));
    expect(await driver.aggregated(attempt(2))).to.include({ state: 'aggregated' });
  });

  it('are refused where the cohorts are too close, before a projection is opened', async () => {
    await shown(fleet.slice(0, 5));
    await driver.closed(fleet.slice(0, 4), attempt(2));
    await expectRefusal(driver.fix(attempt(2)), 'COHORT_TOO_CLOSE');
    await driver.abort(attempt(2));
    await driver.closed(fleet.slice(1, 6), attempt(3));
    await expectRefusal(driver.fix(attempt(3)), 'COHORT_TOO_CLOSE');
  });

  it('may be with vehicles that count nothing in either, be they there or not', async () => {
    const [out, ...five] = fleet.slice(0, 6);
    await driver.closed([out!, ...five]);
    await driver.fix();
    await driver.score(ROUND_1, { scores: await driver.scores({ [out!.vehicleId]: 0 }) });
    await driver.commit();
    await driver.abort();
    const second = attempt(2);
    await driver.closed([...five, fleet[6]!], second);
    await driver.fix(second);
    await driver.score(second, { scores: await driver.scores({ [fleet[6]!.vehicleId]: 0 }, second) });
    expect(await driver.commit(second)).to.include({ state: 'aggregated' });
  });

  it('are refused where a vehicle comes that counts', async () => {
    await shown(fleet.slice(0, 5));
    const second = attempt(2);
    await driver.closed(fleet.slice(0, 6), second);
    await driver.fix(second);
    await driver.score(second);
    await expectRefusal(driver.commit(second), 'COHORT_TOO_CLOSE');
  });

  it('are refused where only weights tell a vehicle from the rest', async () => {
    await shown(fleet.slice(0, 5));
    const second = attempt(2);
    await driver.closed(fleet.slice(0, 5), second);
    await driver.fix(second);
    const scores = await driver.scores({ [fleet[0]!.vehicleId]: 0 }, second);
    await driver.score(second, { scores });
    await expectRefusal(driver.commit(second), 'COHORT_TOO_CLOSE');
  });

  it('are shown of two attempts on a base at the most', async () => {
    await shown(fleet.slice(0, 5));
    await driver.closed(fleet.slice(0, 5), attempt(2));
    await driver.aggregated(attempt(2));
    await driver.abort(attempt(2));
    const refusal = await expectRefusal(driver.open(attempt(3)), 'BASE_BURNED');
    expect(refusal.detail).to.include('1/1 and 1/2');
  });

  it('are counted for the base, not for the round: a later round that comes back to it finds what was shown', async () => {
    const vehicles = fleet.slice(0, 5);
    const comeBack = async (ref: typeof ROUND_1): Promise<void> => {
      await driver.closed(vehicles, ref);
      await driver.aggregated(ref);
      await driver.finalise({ ...(await driver.proposal(ref)), modelHash: INITIAL_MODEL }, MAJORITY);
    };
    await comeBack(attempt(1));
    const second = attempt(1, 2);
    await driver.closed(fleet.slice(1, 6), second);
    expect((await driver.secure(second)).shownAttempts).to.deep.equal([{ round: 1, attempt: 1 }]);
    await expectRefusal(driver.fix(second), 'COHORT_TOO_CLOSE');
    await driver.abort(second);
    await comeBack(attempt(2, 2));
    const refusal = await expectRefusal(driver.open(attempt(1, 3)), 'BASE_BURNED');
    expect(refusal.detail).to.include('1/1 and 2/2');
  });

  it('may come of a third attempt where none of them were shown', async () => {
    for (const number of [1, 2]) {
      await driver.closed(fleet.slice(0, 4 + number), attempt(number));
      await driver.fix(attempt(number));
      await driver.score(attempt(number));
      await driver.abort(attempt(number));
    }
    await driver.closed(fleet, attempt(3), INITIAL_MODEL);
    expect((await driver.aggregated(attempt(3))).secure?.shownAttempts).to.deep.equal([{ round: 1, attempt: 3 }]);
  });
});

describe('Attempts at a round', () => {
  beforeEach(() => fresh(secureTask()));

  it('are three at the most whose cohort is fixed, whatever ends them', async () => {
    for (const number of [1, 2, 3]) {
      await driver.closed(fleet, attempt(number));
      expect((await driver.fix(attempt(number))).secure?.fixedCohorts).to.equal(number);
      await driver.abort(attempt(number));
    }
    const refusal = await expectRefusal(driver.open(attempt(4)), 'ATTEMPTS_EXHAUSTED');
    expect(refusal.detail).to.include('3 attempts');
  });

  it('do not count before, and begin anew in the next round', async () => {
    for (const number of [1, 2, 3, 4]) {
      await driver.closed(fleet, attempt(number));
      await driver.abort(attempt(number));
    }
    await driver.closed(fleet, attempt(5));
    await driver.aggregated(attempt(5));
    const opened = await driver.open(attempt(1, 2), await finish(attempt(5)));
    expect(opened.secure?.fixedCohorts).to.equal(0);
  });
});

describe('A base model', () => {
  const another = (change: Partial<Task> = {}): Task => secureTask({}, { taskId: 'price-2', ...change });
  const create = (task: Task): Promise<unknown> => driver.coordinate('CreateTask', task);
  const startingFrom = (initialModelHash: string): Task =>
    another({ model: { ...secureTask().model, initialModelHash } });
  beforeEach(() => fresh(secureTask()));

  it('is that of the task that was made to begin with it first, and of no other', async () => {
    await create(secureTask());
    await expectRefusal(create(another()), 'BASE_TAKEN');
    const refusal = await expectRefusal(create(dpTask({}, { taskId: 'price-4' })), 'BASE_TAKEN');
    expect(refusal.detail).to.include('price-1');
    expect(await driver.open()).to.include({ state: 'open' });
    await driver.abort();
    expect(await driver.open(attempt(2)), 'its next attempt').to.include({ state: 'open' });
    expect(await create(secureTask()), 'the same task again').to.have.property('createdBy', GRID);
  });

  it('is not compared where updates are shown anyway', async () => {
    await driver.open();
    await create(taskOf({ taskId: 'plain-1' }));
    await driver.consortium.submit(
      'learning:OpenRound',
      { ...ROUND_1, taskId: 'plain-1', baseModelHash: INITIAL_MODEL },
      GRID,
      'coordinator',
    );
  });

  it('of a running task is nobody else’s from the moment that it is made, but its last model is to begin with', async () => {
    await fresh(secureTask({}, { plannedRounds: 2 }));
    await driver.closed(fleet);
    await driver.aggregated();
    const model = await finish();
    await expectRefusal(create(startingFrom(model)), 'BASE_TAKEN');
    await driver.closed(fleet, attempt(1, 2), model);
    await driver.aggregated(attempt(1, 2));
    const last = await finish(attempt(1, 2));
    expect(await create(startingFrom(last))).to.have.property('createdBy', GRID);
  });

  it('goes to the task that makes it, not to one that began with it once the sums were out', async () => {
    await driver.closed(fleet);
    await driver.aggregated();
    const proposal = await driver.proposal();
    const model = proposal.modelHash;
    const twin = new SecureDriver(driver.consortium, startingFrom(model));
    const first = { ...ROUND_1, taskId: 'price-2' };
    await twin.closed(fleet, first, model);
    await twin.fix(first);
    await twin.score(first);
    await driver.finalise(proposal, MAJORITY);
    await expectRefusal(twin.commit(first), 'BASE_TAKEN');
    await twin.abort(first);
    await expectRefusal(twin.open({ ...first, attempt: 2 }, model), 'BASE_TAKEN');
    expect(await driver.open(attempt(1, 2), model)).to.include({ state: 'open' });
  });

  it('is taken before the projections of another task on it are opened', async () => {
    await driver.closed(fleet);
    await driver.aggregated();
    const proposal = await driver.proposal();
    const twin = new SecureDriver(driver.consortium, startingFrom(proposal.modelHash));
    const first = { ...ROUND_1, taskId: 'price-2' };
    await twin.closed(fleet, first, proposal.modelHash);
    await driver.finalise(proposal, MAJORITY);
    await expectRefusal(twin.fix(first), 'BASE_TAKEN');
  });

  it('stays with a task that has shown sums on it: whoever made it goes no further', async () => {
    await driver.closed(fleet);
    await driver.aggregated();
    const proposal = await driver.proposal();
    const twin = new SecureDriver(driver.consortium, startingFrom(proposal.modelHash));
    const first = { ...ROUND_1, taskId: 'price-2' };
    await twin.closed(fleet, first, proposal.modelHash);
    await twin.aggregated(first);
    expect(await driver.finalise(proposal, MAJORITY)).to.include({ state: 'finalised' });
    await expectRefusal(driver.open(attempt(1, 2), proposal.modelHash), 'BASE_TAKEN');
  });

  it('stays with a task that began with it before the round closed that ends with it', async () => {
    const aimedAt = 'c'.repeat(64);
    await create(startingFrom(aimedAt));
    driver.consortium.nowMs += 2 * TIME_MARGIN_MS + 1;
    await driver.closed(fleet);
    await driver.aggregated();
    await driver.finalise({ ...(await driver.proposal()), modelHash: aimedAt }, MAJORITY);
    await expectRefusal(driver.open(attempt(1, 2), aimedAt), 'BASE_TAKEN');
    const kept = new SecureDriver(driver.consortium, startingFrom(aimedAt));
    expect(await kept.open({ ...ROUND_1, taskId: 'price-2' }, aimedAt)).to.include({ state: 'open' });
  });
});
