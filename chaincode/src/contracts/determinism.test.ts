// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { hashOf } from '../api';
import { CITY, GRID, MAKER, MSPS, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, enrollmentOf, envelopeOf, newVehicle, WINDOW, type Vehicle } from '../testing/fleet';
import { identity, signingKey, type Identity } from '../testing/identities';
import { recoveryOf, rotationOf, vehicleIdentity } from '../testing/key-changes';
import { FINDINGS, IncidentDriver } from '../testing/incidents';
import { INITIAL_MODEL, ROUND_1, RoundDriver, taskOf } from '../testing/learning';
import { AGGREGATORS, SecureDriver, secureTask } from '../testing/secure-learning';
import { QUARANTINE_MILLI, roundRef, ValidatedDriver, validatedTask, VALIDATION } from '../testing/validated-learning';

const MAJORITY = [GRID, CITY, REGULATOR];
const TX_ID = 'f'.repeat(64);

/** Endorses a call twice, as two peers would, compares byte for byte what they would sign, then commits it. */
async function endorseTwice(
  consortium: TestConsortium,
  transaction: string,
  argument: unknown,
  caller: Identity,
): Promise<void> {
  const a = await consortium.simulate(transaction, argument, caller, TX_ID);
  const b = await consortium.simulate(transaction, argument, caller, TX_ID);
  consortium.raise(a);
  expect(a.stub.writes.size, `${transaction} writes`).to.be.greaterThan(0);
  expect(b.stub.writeSet(), transaction).to.equal(a.stub.writeSet());
  expect([...b.stub.reads]).to.deep.equal([...a.stub.reads]);
  expect(b.stub.ranges).to.deep.equal(a.stub.ranges);
  expect(b.stub.event).to.deep.equal(a.stub.event);
  expect(b.result).to.deep.equal(a.result);
  expect(a.stub.event?.payload.length ?? 0, 'events stay below 1 kB').to.be.below(1_000);
  expect(consortium.commit(a)).to.equal('VALID');
}

describe('Every peer comes to the same write set', () => {
  it('for every transaction that writes', async () => {
    const consortium = new TestConsortium();
    const driver = new RoundDriver(consortium);
    const run = async (transaction: string, argument: unknown, mspId: string, role: string): Promise<void> =>
      endorseTwice(consortium, transaction, argument, await identity(mspId, role));
    const coordinate = (transaction: string, argument: unknown): Promise<void> =>
      run(`learning:${transaction}`, argument, GRID, 'coordinator');

    const content = consortium.bootstrapContent();
    await run('governance:Bootstrap', content, GRID, 'operator');
    consortium.bootstrapHash = hashOf(content);
    const vehicles = Array.from({ length: 50 }, (_, slot) => enrollmentOf(consortium, newVehicle(), { slot }));
    const withRefusal = [...vehicles.slice(0, 49), { ...vehicles[49]!, makerKeyId: 'maker-9' }];
    const batch = { domain: 'learning', window: WINDOW, vehicles: withRefusal };
    await run('registry:EnrollVehicles', batch, MAKER, 'registrar');
    const { vehicleId } = vehicles[0]!;
    await run('registry:SetVehicleStatus', { vehicleId, status: 'suspended', reason: 'r' }, MAKER, 'registrar');

    const fleet = await enrolledFleet(consortium, 4, 60);
    const [first] = await enrolledFleet(consortium, 1, 70);
    const key = signingKey();
    const rotation = rotationOf(consortium, first!, key);
    await endorseTwice(consortium, 'registry:RotateKey', rotation, await vehicleIdentity(first!, key));
    const recovery = recoveryOf(consortium, first!, signingKey(), { rotation: 2 });
    await run('registry:RecoverKey', recovery, MAKER, 'registrar');
    await coordinate('CreateTask', taskOf());
    await coordinate('OpenRound', { ...ROUND_1, baseModelHash: INITIAL_MODEL });
    const envelopes = [...driver.envelopes(fleet), null];
    await coordinate('RecordUpdates', { ...ROUND_1, baseModelHash: INITIAL_MODEL, envelopes });
    await coordinate('CloseRound', { ...ROUND_1, statements: driver.closeStatements(MAJORITY) });
    await coordinate('FinaliseRound', driver.attested(await driver.proposal(), MAJORITY));

    const change = { kind: 'remove-organisation', mspId: MAKER };
    await run('governance:Propose', { proposalId: 'p-1', change }, GRID, 'operator');
    await run('governance:Vote', { proposalId: 'p-1', approve: true }, CITY, 'operator');
    await run('governance:Vote', { proposalId: 'p-1', approve: true }, REGULATOR, 'operator');
    await run('governance:Execute', { proposalId: 'p-1' }, GRID, 'operator');
    const again = { kind: 'admit-organisation', organisation: consortium.organisation(MAKER) };
    await run('governance:Propose', { proposalId: 'p-2', change: again }, GRID, 'operator');
    await run('governance:Vote', { proposalId: 'p-2', approve: true }, CITY, 'operator');
    await run('governance:Execute', { proposalId: 'p-2' }, GRID, 'operator');
    await run('governance:Propose', { proposalId: 'p-3', change }, GRID, 'operator');
    await run('governance:Withdraw', { proposalId: 'p-3' }, GRID, 'operator');
  });

  it('for every transaction of a secure round, disputes included', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const driver = new SecureDriver(consortium, secureTask());
    const coordinate = async (transaction: string, argument: unknown): Promise<void> =>
      endorseTwice(consortium, `learning:${transaction}`, argument, await identity(GRID, 'coordinator'));
    const fleet = await enrolledFleet(consortium, 4);
    await coordinate('CreateTask', driver.task);
    await coordinate('OpenRound', driver.signedOpening(driver.opening()));
    await coordinate('RecordUpdates', {
      ...ROUND_1,
      baseModelHash: INITIAL_MODEL,
      envelopes: driver.envelopes(fleet),
    });
    await coordinate('CloseRound', { ...ROUND_1, statements: driver.closeStatements(MAJORITY) });
    const updates = await driver.recorded();
    const receipts = updates.flatMap((update) =>
      AGGREGATORS.flatMap((mspId) => driver.receipt(mspId, update).receipts),
    );
    await coordinate('ShowReceipts', { ...ROUND_1, receipts });
    const holdings = await driver.holdings(AGGREGATORS, { [CITY]: [updates[0]!.vehicleId] });
    const statements = await driver.cohortStatements([...MSPS], updates);
    await coordinate('FixCohort', { ...ROUND_1, holdings, statements });
    const lie = { [GRID]: { '2': 'd'.repeat(64) } };
    const projections = await driver.projections(AGGREGATORS, lie);
    const dispute = { ...ROUND_1, component: 2, phase: 'projections', projections, sums: [] };
    await coordinate('OpenDispute', { ...dispute, nonces: await driver.nonces() });
    await coordinate('SettleDispute', driver.verdict(2, 'projections', [GRID]));
    const scoring = await driver.scoring(ROUND_1, { projections });
    await coordinate('ScoreRound', { ...scoring, attestations: driver.attestScores(scoring, [...MSPS]) });
    const sums = await driver.sums();
    // What the one that was named held is now the word of a single aggregator.
    for (const component of [0, 2]) {
      await coordinate('OpenDispute', { ...ROUND_1, component, phase: 'audit', projections: [], sums });
      await coordinate('SettleDispute', driver.verdict(component, 'audit', []));
    }
    await coordinate('CommitSums', { ...ROUND_1, sums });
    await coordinate('FinaliseRound', driver.attested(await driver.proposal(), MAJORITY));
  });

  it('for a round with validators whose end judges vehicles and validators', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const driver = new ValidatedDriver(
      consortium,
      validatedTask({ validation: { ...VALIDATION, vehicles: 3 }, metrics: [] }),
    );
    const coordinate = async (transaction: string, argument: unknown): Promise<void> =>
      endorseTwice(consortium, `learning:${transaction}`, argument, await identity(GRID, 'coordinator'));
    const fleet = await enrolledFleet(consortium, 4);
    const suspicion = { [fleet[0]!.vehicleId]: { suspicionMilli: QUARANTINE_MILLI } };
    await coordinate('CreateTask', driver.task);
    let base = INITIAL_MODEL;
    for (const round of [1, 2]) {
      const ref = roundRef(round);
      const validations = driver.validations(ref, base, { [MAKER]: { lossMicro: 9_000_000 } });
      await coordinate('OpenRound', driver.signedOpening({ ...driver.opening(ref), validations }, ref, base));
      const { drawn = [] } = await driver.secure(ref);
      const envelopes = fleet.map((vehicle) => {
        const validation = { lossMicro: 1_000_000, dataHash: hashOf(vehicle.vehicleId) };
        const word = drawn.includes(vehicle.vehicleId) ? { validation } : {};
        return envelopeOf(vehicle, driver.content(ref, { baseModelHash: base, ...word }));
      });
      await coordinate('RecordUpdates', { ...ref, baseModelHash: base, envelopes });
      await coordinate('CloseRound', { ...ref, statements: driver.closeStatements(MAJORITY, ref) });
      await coordinate('FixCohort', await driver.fixing(ref));
      await coordinate('ScoreRound', await driver.scoring(ref, { scores: await driver.judgedScores(suspicion, ref) }));
      await coordinate('CommitSums', { ...ref, sums: await driver.sums(AGGREGATORS, {}, ref) });
      const proposal = await driver.proposal(ref);
      await coordinate('FinaliseRound', driver.attested(proposal, MAJORITY));
      base = proposal.modelHash;
    }
    expect((await driver.standing(fleet[0]!)).quarantined).to.deep.include({ round: 1 });
    const setAside = (await driver.validators()).filter(({ setAsideFrom }) => setAsideFrom === 3);
    expect(setAside.map(({ mspId }) => mspId)).to.deep.equal([MAKER]);
  });

  it('for incidents, what follows from them, and rewards', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const driver = new IncidentDriver(consortium);
    const run = async (transaction: string, argument: unknown, mspId: string, role: string): Promise<void> =>
      endorseTwice(consortium, transaction, argument, await identity(mspId, role));
    const fleet = await enrolledFleet(consortium, 5);
    const [culprit, cleared, ...rest] = fleet as [Vehicle, Vehicle, ...Vehicle[]];
    const judgements = Object.fromEntries(fleet.map(({ vehicleId }) => [vehicleId, { contributionMicro: 1 }]));
    const suspicion = { [cleared.vehicleId]: { contributionMicro: 1, suspicionMilli: QUARANTINE_MILLI } };
    const base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, { ...judgements, ...suspicion });
    await driver.runRound([culprit, ...rest], roundRef(2), base, judgements);
    await run('rewards:PayRound', { taskId: 'price-1', round: 1 }, GRID, 'coordinator');
    await run('rewards:PayRound', { taskId: 'price-1', round: 2 }, GRID, 'coordinator');
    const incidents = [
      { incidentId: 'i-1', ...culprit, last: 'confirm' },
      { incidentId: 'i-2', ...cleared, last: 'clear' },
    ];
    for (const { incidentId, vehicleId, last } of incidents) {
      const disputed = [{ round: 1, attempt: 1 }];
      const opened = { incidentId, taskId: 'price-1', vehicleId, disputed, reason: 'r' };
      await run('incidents:OpenIncident', opened, GRID, 'coordinator');
      for (const step of ['projections', 'vectors', last]) {
        for (const mspId of MAJORITY) {
          const vote = { incidentId, step, approve: true, findingsHash: FINDINGS };
          await run('incidents:VoteIncident', vote, mspId, 'operator');
        }
      }
    }
    const measured = Object.fromEntries(MSPS.map((mspId) => [mspId, [2, 1] as const]));
    const correction = driver.correction(2, INITIAL_MODEL, measured, { incidentId: 'i-1' });
    await run('incidents:CorrectModel', correction, GRID, 'coordinator');
  });
});
