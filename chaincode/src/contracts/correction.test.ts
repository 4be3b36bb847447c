// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { CORRECTION_PATIENCE_MS, sha256Hex, type BaseRecord, type ModelRecord } from '../api';
import { keys } from '../ledger/keys';
import { CITY, GRID, MAKER, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { CANDIDATE, IncidentDriver, rewardedTask, type Measured } from '../testing/incidents';
import { INITIAL_MODEL } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { roundRef, validatedTask } from '../testing/validated-learning';

let consortium: TestConsortium;
let driver: IncidentDriver;
let fleet: Vehicle[];
let suspect: Vehicle;
let rest: Vehicle[];
/** The model before each round: models[n] is the base of round n. */
let models: string[];

/** Three finalised rounds, of which the last two are disputed; the vehicle was opened and found to be the culprit. */
async function fresh(decided = true, task = rewardedTask()): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new IncidentDriver(consortium, task);
  fleet = await enrolledFleet(consortium, 5);
  [suspect, ...rest] = fleet as [Vehicle, ...Vehicle[]];
  models = ['', INITIAL_MODEL];
  for (const round of [1, 2, 3]) {
    models.push(await driver.runRound(fleet, roundRef(round), models[round]!));
  }
  await driver.openIncident(suspect, [2, 3]);
  if (decided) {
    await driver.decide(['projections', 'vectors', 'confirm']);
    patience();
  }
}
/** The time after which a majority may go on without the others. */
function patience(): void {
  consortium.nowMs += CORRECTION_PATIENCE_MS;
}
const BETTER_CANDIDATE: Measured = { [GRID]: [300, 200], [CITY]: [310, 190], [REGULATOR]: [290, 210] };
const BETTER_ROLLBACK: Measured = { [GRID]: [200, 300], [CITY]: [190, 310], [REGULATOR]: [210, 290] };
const rollback = (): string => models[2]!;
const correct = (measured: Measured, change = {}) => driver.correct(driver.correction(3, rollback(), measured, change));
const base = (hash: string): Promise<BaseRecord | undefined> =>
  Promise.resolve(consortium.ledger.get(`\0base\0${hash}\0`)?.toString()).then((text) =>
    text === undefined ? undefined : (JSON.parse(text) as BaseRecord),
  );
const model = (modelHash: string): Promise<ModelRecord> =>
  consortium.evaluate('learning:GetModel', { taskId: 'price-1', modelHash });

describe('A corrected model', () => {
  beforeEach(() => fresh());

  it('is the candidate where the median of its losses is lower', async () => {
    const record = await correct(BETTER_CANDIDATE);
    expect(record).to.deep.equal({
      ...{ docType: 'correction', schemaVersion: 1, taskId: 'price-1', afterRound: 3, incidentId: 'incident-1' },
      ...{ kept: 'candidate', modelHash: CANDIDATE, cleanRound: 1, rollbackHash: rollback(), candidateHash: CANDIDATE },
      ...{ rollbackLossMicro: 300, candidateLossMicro: 200, attestedBy: [CITY, GRID, REGULATOR] },
      correctedAtMs: consortium.nowMs,
    });
    expect(await driver.incident()).to.include({ correctedWith: CANDIDATE, correctedAfter: 3 });
    expect(await model(CANDIDATE)).to.include({ round: 3, attempt: 1, baseModelHash: rollback() });
    expect(await base(CANDIDATE)).to.include({ taskId: 'price-1' });
    const argument = { taskId: 'price-1', afterRound: 3 };
    expect(await consortium.evaluate('incidents:GetCorrection', argument)).to.deep.equal(record);
    await expectRefusal(driver.open(roundRef(4), models[4]), 'BASE_MODEL_MISMATCH');
    await driver.runRound(rest, roundRef(4), CANDIDATE);
  });

  it('is the last clean one where that is better, or as good, and the task goes on from it without the culprit', async () => {
    const record = await correct(BETTER_ROLLBACK);
    expect(record).to.include({ kept: 'rollback', modelHash: rollback() });
    expect(await model(rollback()), 'as round 1 made it').to.include({ round: 1, baseModelHash: INITIAL_MODEL });
    const next = await driver.runRound(rest, roundRef(4), rollback());
    await driver.runRound(rest, roundRef(5), next);
  });

  it('is the last clean one where both are as good', async () => {
    const same: Measured = { [GRID]: [250, 250], [CITY]: [250, 250], [REGULATOR]: [250, 250] };
    expect(await correct(same)).to.include({ kept: 'rollback' });
  });

  it('is decided by lower medians, whatever one organisation says', async () => {
    const measured: Measured = { ...BETTER_CANDIDATE, [MAKER]: [0, 9_000_000] };
    const record = await correct(measured);
    expect(record).to.include({ kept: 'candidate', rollbackLossMicro: 290, candidateLossMicro: 200 });
    expect(record.attestedBy).to.have.length(4);
  });

  it('is corrected once; a repetition is harmless, other content is refused', async () => {
    const record = await correct(BETTER_CANDIDATE);
    expect(await correct(BETTER_CANDIDATE)).to.deep.equal(record);
    await driver.runRound(rest, roundRef(4), CANDIDATE);
    expect(await correct(BETTER_CANDIDATE)).to.deep.equal(record);
    await expectRefusal(correct(BETTER_CANDIDATE, { candidateHash: sha256Hex('other') }), 'CORRECTION_CONFLICT');
    const later = driver.correction(4, rollback(), BETTER_CANDIDATE);
    await expectRefusal(driver.correct(later), 'CORRECTION_CONFLICT');
  });

  it('rests on the signatures of a majority', async () => {
    const { [GRID]: one, [CITY]: two } = BETTER_CANDIDATE;
    await expectRefusal(correct({ [GRID]: one!, [CITY]: two! }), 'STATEMENTS_INSUFFICIENT');
    const argument = driver.correction(3, rollback(), BETTER_CANDIDATE);
    const [first, ...others] = argument.losses;
    const forged = { ...argument, losses: [{ ...first!, candidateLossMicro: 1 }, ...others] };
    await expectRefusal(driver.correct(forged), 'STATEMENTS_INSUFFICIENT');
    const twice = { ...argument, losses: [first!, first!, ...others] };
    await expectRefusal(driver.correct(twice), 'CORRECTION_INVALID');
  });

  it('begins from the base of the first disputed round, after the last finalised one, while no other is open', async () => {
    await expectRefusal(driver.correct(driver.correction(3, models[3]!, BETTER_CANDIDATE)), 'CORRECTION_INVALID');
    await expectRefusal(driver.correct(driver.correction(2, rollback(), BETTER_CANDIDATE)), 'CORRECTION_INVALID');
    await expectRefusal(driver.correct(driver.correction(4, rollback(), BETTER_CANDIDATE)), 'CORRECTION_INVALID');
    await driver.open(roundRef(4), models[4]);
    await expectRefusal(correct(BETTER_CANDIDATE), 'CORRECTION_INVALID');
    await driver.abort(roundRef(4));
    await correct(BETTER_CANDIDATE);
    await driver.runRound(rest, roundRef(4, 2), CANDIDATE);
  });

  it('is not asked of rounds that followed before', async () => {
    await driver.runRound(rest, roundRef(4), models[4]!);
    await expectRefusal(correct(BETTER_CANDIDATE), 'CORRECTION_INVALID');
    await driver.correct(driver.correction(4, rollback(), BETTER_CANDIDATE));
  });

  it('is unknown where nothing was corrected', async () => {
    const argument = { taskId: 'price-1', afterRound: 3 };
    await expectRefusal(consortium.evaluate('incidents:GetCorrection', argument), 'CORRECTION_UNKNOWN');
    const unknown = driver.correct(driver.correction(3, rollback(), BETTER_CANDIDATE, { incidentId: 'other' }));
    await expectRefusal(unknown, 'INCIDENT_UNKNOWN');
  });
});

describe('A correction', () => {
  it('follows a confirmed incident only', async () => {
    await fresh(false);
    await expectRefusal(correct(BETTER_CANDIDATE), 'INCIDENT_STATE');
    await driver.decide(['clear']);
    await expectRefusal(correct(BETTER_CANDIDATE), 'INCIDENT_STATE');
  });

  it('waits for the losses of all validators, so that nobody chooses whose count', async () => {
    await fresh();
    consortium.nowMs -= 1;
    await expectRefusal(correct(BETTER_CANDIDATE), 'CORRECTION_INVALID');
    const all: Measured = { ...BETTER_CANDIDATE, [MAKER]: [280, 220] };
    expect((await correct(all)).attestedBy).to.deep.equal([CITY, GRID, MAKER, REGULATOR]);
  });

  it('counts nothing of an aborted attempt against the model that takes the place of its base', async () => {
    await fresh();
    await driver.closed(rest, roundRef(4), models[4]);
    await driver.aggregated(roundRef(4));
    await driver.abort(roundRef(4));
    await correct(BETTER_CANDIDATE);
    await driver.closed(rest, roundRef(4, 2), CANDIDATE);
    expect((await driver.secure(roundRef(4, 2))).shownAttempts).to.deep.equal([]);
  });

  it('keeps the candidate where the last clean model has served two cohorts', async () => {
    consortium = await TestConsortium.bootstrapped();
    driver = new IncidentDriver(consortium);
    fleet = await enrolledFleet(consortium, 5);
    [suspect, ...rest] = fleet as [Vehicle, ...Vehicle[]];
    await driver.closed(fleet);
    await driver.aggregated();
    await driver.abort();
    models = ['', INITIAL_MODEL, await driver.runRound(fleet, roundRef(1, 2), INITIAL_MODEL)];
    await driver.openIncident(suspect, [1], { disputed: [{ round: 1, attempt: 2 }] });
    await driver.decide(['projections', 'vectors', 'confirm']);
    patience();
    const record = await driver.correct(driver.correction(1, INITIAL_MODEL, BETTER_ROLLBACK));
    expect(record).to.include({ kept: 'candidate', rollbackLossMicro: 200, candidateLossMicro: 300, cleanRound: 0 });
    await driver.runRound(rest, roundRef(2), CANDIDATE);
  });

  it('keeps the last clean model where the candidate is the base of another task', async () => {
    await fresh();
    const { model: dimensions } = driver.task;
    const other = { ...driver.task, taskId: 'other', model: { ...dimensions, initialModelHash: CANDIDATE } };
    await driver.coordinate('CreateTask', other);
    expect(await correct(BETTER_CANDIDATE)).to.include({ kept: 'rollback' });
  });

  it('is refused where the task can go on from neither', async () => {
    await fresh();
    const spent = driver.correction(3, rollback(), BETTER_ROLLBACK, { candidateHash: models[3]! });
    for (const modelHash of [rollback(), models[3]!]) {
      const key = keys.shownSums('price-1', modelHash);
      const name = `\0${key.docType}\0${key.attributes.join('\0')}\0`;
      const attempts = [1, 2].map((attempt) => ({ round: 3, attempt }));
      const record = { docType: 'shownSums', schemaVersion: 1, taskId: 'price-1', baseModelHash: modelHash, attempts };
      consortium.ledger.load({ [name]: JSON.stringify(record) }, consortium.nowMs);
    }
    await expectRefusal(driver.correct(spent), 'CORRECTION_INVALID');
  });

  it('of the last planned round leaves its model for another task to begin with', async () => {
    await fresh(true, validatedTask({}, { plannedRounds: 3 }));
    await correct(BETTER_CANDIDATE);
    expect(await base(CANDIDATE)).to.equal(undefined);
  });
});
