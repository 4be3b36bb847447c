// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { BatchResult, Page, StandingRecord } from '../api';
import { CITY, GRID, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { INITIAL_MODEL } from '../testing/learning';
import { vehicleIdentity } from '../testing/key-changes';
import { expectRefusal } from '../testing/refusal';
import { SecureDriver, secureTask } from '../testing/secure-learning';
import {
  QUARANTINE_MILLI,
  roundRef,
  ValidatedDriver,
  validatedTask,
  type Judgement,
} from '../testing/validated-learning';

const MAJORITY = [GRID, CITY, REGULATOR];

let consortium: TestConsortium;
let driver: ValidatedDriver;
let fleet: Vehicle[];
let suspect: Vehicle;
let others: Vehicle[];

async function fresh(): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new ValidatedDriver(consortium);
  fleet = await enrolledFleet(consortium, 5);
  [suspect, ...others] = fleet as [Vehicle, ...Vehicle[]];
}
const ofSuspect = (judgement: Judgement) => ({ [suspect.vehicleId]: judgement });
const standings = () =>
  consortium.evaluate<Page<StandingRecord>>('learning:ListStandings', {
    taskId: 'price-1',
    pageSize: 100,
    bookmark: '',
  });

describe('Standing of vehicles', () => {
  beforeEach(fresh);

  it('adds up over finalised rounds, with the scores that it last came from', async () => {
    const judgements = { ...ofSuspect({ suspicionMilli: 4_000, contributionMicro: -30 }) };
    const base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, judgements);
    const second = ofSuspect({ suspicionMilli: 2_500, contributionMicro: 10 });
    await driver.runRound(fleet, roundRef(2), base, second);
    const { scoresHash } = await driver.secure(roundRef(2));
    expect(await driver.standing(suspect)).to.deep.equal({
      ...{ docType: 'standing', schemaVersion: 1, taskId: 'price-1', vehicleId: suspect.vehicleId },
      ...{ rounds: 2, suspicionMilli: 6_500, contributionMicro: -20 },
      last: { round: 2, attempt: 1, scoresHash },
    });
    const { items } = await standings();
    expect(items.map(({ vehicleId }) => vehicleId)).to.deep.equal(fleet.map(({ vehicleId }) => vehicleId).sort());
  });

  it('never falls below no suspicion, so that good conduct cannot be saved up', async () => {
    const base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, ofSuspect({ suspicionMilli: -90_000 }));
    expect(await driver.standing(suspect)).to.include({ suspicionMilli: 0 });
    await driver.runRound(fleet, roundRef(2), base, ofSuspect({ suspicionMilli: QUARANTINE_MILLI }));
    expect(await driver.standing(suspect)).to.have.property('quarantined');
  });

  it('is not added to again where the end of a round is repeated', async () => {
    await driver.closed(fleet);
    await driver.fix();
    await driver.score(roundRef(1), { scores: await driver.judgedScores(ofSuspect({ suspicionMilli: 4_000 })) });
    await driver.commit();
    const proposal = await driver.proposal();
    await driver.finalise(proposal, MAJORITY);
    await driver.finalise(proposal, MAJORITY);
    expect(await driver.standing(suspect)).to.include({ rounds: 1, suspicionMilli: 4_000 });
  });

  it('takes nothing from attempts that were aborted', async () => {
    await driver.closed(fleet);
    await driver.fix();
    await driver.score(roundRef(1), { scores: await driver.judgedScores(ofSuspect({ suspicionMilli: 90_000 })) });
    await driver.commit();
    await driver.abort();
    await expectRefusal(driver.standing(suspect), 'STANDING_UNKNOWN');
    await driver.runRound(fleet, roundRef(1, 2), INITIAL_MODEL, ofSuspect({ suspicionMilli: 1 }));
    expect(await driver.standing(suspect)).to.deep.include({ rounds: 1, suspicionMilli: 1 });
    expect((await driver.standing(suspect)).last).to.include({ round: 1, attempt: 2 });
  });

  it('is kept only of vehicles of the cohort', async () => {
    const base = await driver.runRound(others, roundRef(1), INITIAL_MODEL);
    await expectRefusal(driver.standing(suspect), 'STANDING_UNKNOWN');
    await driver.runRound(fleet, roundRef(2), base);
    expect((await driver.standing(suspect)).rounds).to.equal(1);
    expect((await driver.standing(others[0]!)).rounds).to.equal(2);
  });

  it('is not kept where the task has no validators', async () => {
    const plain = new SecureDriver(consortium, secureTask());
    await plain.closed(fleet);
    await plain.aggregated();
    await plain.finalise(await plain.proposal(), MAJORITY);
    expect((await standings()).items).to.deep.equal([]);
    expect(await driver.validators()).to.deep.equal([]);
  });
});

describe('Quarantine', () => {
  let base: string;
  before(async () => {
    await fresh();
    const before = ofSuspect({ suspicionMilli: QUARANTINE_MILLI - 1 });
    base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, before);
    expect(await driver.standing(suspect)).not.to.have.property('quarantined');
    base = await driver.runRound(fleet, roundRef(2), base, ofSuspect({ suspicionMilli: 1 }));
  });

  it('begins with the round whose evidence reaches what the task says', async () => {
    expect((await driver.standing(suspect)).quarantined).to.deep.equal({ round: 2, suspicionMilli: QUARANTINE_MILLI });
    const { items } = await standings();
    expect(items.filter(({ quarantined }) => quarantined !== undefined)).to.have.length(1);
  });

  it('refuses updates of the vehicle by name, in a batch and by itself, and lets the others go on', async () => {
    const ref = roundRef(3);
    await driver.open(ref, base);
    const batch: BatchResult = await driver.record(driver.envelopes(fleet, ref, base), ref, base);
    const refused = batch.results.filter(({ accepted }) => !accepted);
    expect(refused.map(({ id, code }) => [id, code])).to.deep.equal([[suspect.vehicleId, 'VEHICLE_QUARANTINED']]);
    const [envelope] = driver.envelopes([suspect], ref, base);
    const own = { ...ref, baseModelHash: base, envelope };
    const caller = await vehicleIdentity(suspect, suspect.key);
    await expectRefusal(consortium.submitAs('learning:RecordUpdate', own, caller), 'VEHICLE_QUARANTINED');
    await driver.close(MAJORITY, ref);
    await driver.finished(ref);
    expect(await driver.standing(suspect)).to.deep.include({
      rounds: 2,
      last: { ...(await driver.standing(suspect)).last, round: 2 },
    });
  });

  it('is a matter of its task: elsewhere the vehicle takes part', async () => {
    const task = validatedTask({}, { taskId: 'price-2' });
    const initial = 'b'.repeat(64);
    const other = new ValidatedDriver(consortium, { ...task, model: { ...task.model, initialModelHash: initial } });
    const ref = { ...roundRef(1), taskId: 'price-2' };
    await other.open(ref, initial);
    const { results } = await other.record(other.envelopes(fleet, ref, initial), ref, initial);
    expect(results.every(({ accepted }) => accepted)).to.equal(true);
  });
});
