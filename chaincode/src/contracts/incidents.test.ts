// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { IncidentStep, IncidentView, Page, VehicleRecord, IncidentRecord } from '../api';
import { CITY, GRID, MAKER, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, newVehicle, type Vehicle } from '../testing/fleet';
import { identity } from '../testing/identities';
import { FINDINGS, IncidentDriver } from '../testing/incidents';
import { INITIAL_MODEL } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { secureTask, SecureDriver } from '../testing/secure-learning';
import { roundRef } from '../testing/validated-learning';

let consortium: TestConsortium;
let driver: IncidentDriver;
let fleet: Vehicle[];
let suspect: Vehicle;
let base: string;

/** Two finalised rounds with five vehicles, the first of which is suspected. */
async function fresh(): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new IncidentDriver(consortium);
  fleet = await enrolledFleet(consortium, 5);
  suspect = fleet[0]!;
  const judgement = { [suspect.vehicleId]: { suspicionMilli: 3_000 } };
  base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, judgement);
  base = await driver.runRound(fleet, roundRef(2), base, judgement);
}
const vehicle = (): Promise<VehicleRecord> =>
  consortium.evaluate('registry:GetVehicle', { vehicleId: suspect.vehicleId });
const view = (): Promise<IncidentView> => consortium.evaluate('incidents:GetIncident', { incidentId: 'incident-1' });

describe('An incident', () => {
  beforeEach(fresh);

  it('is opened with where the vehicle stands, and repeating it is harmless', async () => {
    const record = await driver.openIncident(suspect, [1, 2]);
    const { scoresHash } = await driver.secure(roundRef(2));
    expect(record).to.deep.equal({
      ...{ docType: 'incident', schemaVersion: 1, incidentId: 'incident-1', taskId: 'price-1' },
      ...{ vehicleId: suspect.vehicleId, reason: 'suspicion', state: 'open', decidedBy: {} },
      disputed: [1, 2].map((round) => ({ round, attempt: 1 })),
      ...{ openedBy: GRID, openedAtMs: consortium.nowMs, suspicionMilli: 6_000, scoresHash },
    });
    consortium.nowMs += 1;
    expect(await driver.openIncident(suspect, [1, 2])).to.deep.equal(record);
    const { items } = await consortium.evaluate<Page<IncidentRecord>>('incidents:ListIncidents', {
      pageSize: 10,
      bookmark: '',
    });
    expect(items).to.deep.equal([record]);
  });

  it('is refused with other content under the same name', async () => {
    await driver.openIncident(suspect, [1, 2]);
    await expectRefusal(driver.openIncident(suspect, [1]), 'INCIDENT_CONFLICT');
    await expectRefusal(driver.openIncident(fleet[1]!, [1, 2]), 'INCIDENT_CONFLICT');
    await expectRefusal(driver.openIncident(suspect, [1, 2], { reason: 'other' }), 'INCIDENT_CONFLICT');
  });

  it('disputes finalised rounds of whose cohorts the vehicle was a member, in their order', async () => {
    await expectRefusal(driver.openIncident(newVehicle(), [1]), 'INCIDENT_INVALID');
    await expectRefusal(driver.openIncident(suspect, [2, 1]), 'INCIDENT_INVALID');
    await expectRefusal(driver.openIncident(suspect, [1, 1]), 'INCIDENT_INVALID');
    await expectRefusal(driver.openIncident(suspect, [3]), 'INCIDENT_INVALID');
    const attempt = { disputed: [{ round: 1, attempt: 2 }] };
    await expectRefusal(driver.openIncident(suspect, [1], attempt), 'INCIDENT_INVALID');
    await driver.closed(fleet, roundRef(3), base);
    await driver.fix(roundRef(3));
    await expectRefusal(driver.openIncident(suspect, [3]), 'INCIDENT_INVALID');
    await expectRefusal(driver.openIncident(suspect, [1], { taskId: 'price-9' }), 'TASK_UNKNOWN');
  });

  it('knows no vehicle of a task whose updates are not shared', async () => {
    await driver.coordinate('CreateTask', { ...driver.task, taskId: 'plain', ...PLAIN });
    await expectRefusal(driver.openIncident(suspect, [1], { taskId: 'plain' }), 'INCIDENT_INVALID');
  });
});

const PLAIN = { privacy: 'plain', secure: undefined, rewards: undefined } as const;

describe('A vote on an incident', () => {
  beforeEach(async () => {
    await fresh();
    await driver.openIncident(suspect, [1, 2]);
  });

  it('of an incident that is not there is refused', async () => {
    await expectRefusal(driver.vote(GRID, 'projections', { incidentId: 'other' }), 'INCIDENT_UNKNOWN');
    await expectRefusal(driver.incident('other'), 'INCIDENT_UNKNOWN');
  });

  it('takes the step with a majority among which is the regulator', async () => {
    expect(await driver.vote(GRID, 'projections')).to.include({ state: 'open' });
    expect(await driver.vote(CITY, 'projections')).to.include({ state: 'open' });
    const caller = await identity(REGULATOR, 'auditor');
    const argument = { incidentId: 'incident-1', step: 'projections', approve: true };
    const taken = await consortium.submitAs<IncidentRecord>('incidents:VoteIncident', argument, caller);
    expect(taken.state).to.equal('projections');
    expect(taken.projectionsTxId).to.match(/^[0-9a-f]{64}$/);
    expect(taken.decidedBy).to.deep.equal({ projections: [CITY, GRID, REGULATOR] });
    expect(taken).to.not.have.property('decidedAtMs');
  });

  it('takes no step without the regulator, though everybody else approves', async () => {
    for (const step of ['projections', 'clear'] satisfies IncidentStep[]) {
      for (const mspId of [GRID, MAKER, CITY]) {
        expect(await driver.vote(mspId, step)).to.include({ state: 'open' });
      }
    }
    await driver.vote(REGULATOR, 'projections', { approve: false });
    expect(await driver.vote(GRID, 'projections')).to.include({ state: 'open' });
  });

  it('takes no step with fewer than a majority of all members', async () => {
    expect(await driver.vote(REGULATOR, 'projections')).to.include({ state: 'open' });
    expect(await driver.vote(GRID, 'projections')).to.include({ state: 'open' });
    await driver.vote(GRID, 'projections', { approve: false });
    expect(await driver.vote(MAKER, 'projections')).to.include({ state: 'open' });
    expect(await driver.vote(CITY, 'projections')).to.include({ state: 'projections' });
  });

  it('is one an organisation, may be changed until the step is decided, and repeated ever after', async () => {
    await driver.vote(GRID, 'projections');
    await driver.vote(GRID, 'projections', { approve: false });
    expect((await view()).votes).to.have.length(1);
    expect((await view()).votes[0]).to.include({ mspId: GRID, approve: false });
    await driver.decide(['projections']);
    const decided = await driver.incident();
    expect(await driver.vote(CITY, 'projections')).to.include({ state: 'projections' });
    expect(await driver.incident()).to.deep.equal(decided);
    await expectRefusal(driver.vote(CITY, 'projections', { approve: false }), 'INCIDENT_STATE');
    await expectRefusal(driver.vote(MAKER, 'projections'), 'INCIDENT_STATE');
  });

  it('goes through the steps in their order', async () => {
    await expectRefusal(driver.vote(GRID, 'vectors'), 'INCIDENT_STATE');
    await expectRefusal(driver.vote(GRID, 'confirm'), 'INCIDENT_STATE');
    await driver.decide(['projections']);
    await expectRefusal(driver.vote(MAKER, 'projections'), 'INCIDENT_STATE');
    expect(await driver.decide(['vectors'])).to.include({ state: 'vectors' });
    await expectRefusal(driver.vote(MAKER, 'vectors'), 'INCIDENT_STATE');
    expect(await driver.decide(['confirm'])).to.include({ state: 'confirmed', findingsHash: FINDINGS });
    await expectRefusal(driver.vote(MAKER, 'clear'), 'INCIDENT_STATE');
  });

  it('opens nothing but what the incident disputes of its vehicle: no vote changes either', async () => {
    const opened = await driver.incident();
    const taken = await driver.decide(['projections', 'vectors', 'confirm']);
    const { incidentId, taskId, vehicleId, disputed, reason } = opened;
    expect(taken).to.deep.include({ incidentId, taskId, vehicleId, disputed, reason });
    const { votes: _votes, ...kept } = await view();
    expect(kept).to.deep.equal(taken);
  });

  it('to confirm names the findings that it rests on, and adds up with the same ones only', async () => {
    await driver.decide(['projections']);
    const without = { findingsHash: undefined };
    await expectRefusal(driver.vote(GRID, 'confirm', without), 'FINDINGS_MISSING');
    await expectRefusal(driver.vote(GRID, 'clear', without), 'FINDINGS_MISSING');
    await driver.vote(GRID, 'confirm', { findingsHash: '1'.repeat(64) });
    await driver.vote(CITY, 'confirm');
    expect(await driver.vote(REGULATOR, 'confirm')).to.include({ state: 'projections' });
    expect(await driver.vote(GRID, 'confirm')).to.include({ state: 'confirmed' });
  });

  it('to clear needs no findings while nothing is opened, and such a vote is void once something is', async () => {
    const without = { findingsHash: undefined };
    await driver.vote(GRID, 'clear', without);
    await driver.vote(CITY, 'clear', without);
    await driver.decide(['projections']);
    expect(await driver.vote(REGULATOR, 'clear')).to.include({ state: 'projections' });
    await expectRefusal(driver.vote(GRID, 'clear', without), 'FINDINGS_MISSING');
    await driver.vote(GRID, 'clear');
    expect(await driver.vote(MAKER, 'clear')).to.include({ state: 'cleared' });
  });

  it('counts as long as the membership lasts in which it was cast', async () => {
    await driver.vote(CITY, 'projections');
    await driver.vote(GRID, 'projections');
    const change = { kind: 'remove-organisation', mspId: CITY };
    await consortium.submit('governance:Propose', { proposalId: 'out', change }, GRID, 'operator');
    for (const mspId of [MAKER, REGULATOR]) {
      await consortium.submit('governance:Vote', { proposalId: 'out', approve: true }, mspId, 'operator');
    }
    await consortium.submit('governance:Execute', { proposalId: 'out' }, GRID, 'operator');
    const again = { kind: 'admit-organisation', organisation: consortium.organisation(CITY) };
    await consortium.submit('governance:Propose', { proposalId: 'in', change: again }, GRID, 'operator');
    await consortium.submit('governance:Vote', { proposalId: 'in', approve: true }, MAKER, 'operator');
    await consortium.submit('governance:Execute', { proposalId: 'in' }, GRID, 'operator');
    expect(await driver.vote(REGULATOR, 'projections')).to.include({ state: 'open' });
    expect(await driver.vote(CITY, 'projections')).to.include({ state: 'projections' });
  });
});

describe('A confirmed incident', () => {
  beforeEach(async () => {
    await fresh();
    await driver.openIncident(suspect, [1, 2]);
  });

  it('revokes the vehicle for good and names it among the culprits', async () => {
    await driver.decide(['projections', 'vectors', 'confirm']);
    expect(await vehicle()).to.include({
      ...{ status: 'revoked', statusReason: 'incident incident-1', statusSetBy: 'consortium' },
    });
    expect(await driver.culprits()).to.deep.equal([
      {
        ...{ docType: 'culprit', schemaVersion: 1, taskId: 'price-1', vehicleId: suspect.vehicleId },
        ...{ incidentId: 'incident-1', afterRound: 2, opened: true },
      },
    ]);
    await driver.open(roundRef(3), base);
    const { results } = await driver.record(driver.envelopes([suspect], roundRef(3), base), roundRef(3), base);
    expect(results[0]).to.include({ accepted: false });
  });

  it('tells those who listen whom it revoked', async () => {
    await driver.decide(['projections']);
    await driver.vote(GRID, 'confirm');
    await driver.vote(CITY, 'confirm');
    const vote = { incidentId: 'incident-1', step: 'confirm', approve: true, findingsHash: FINDINGS };
    const last = await consortium.simulate('incidents:VoteIncident', vote, await identity(REGULATOR, 'operator'));
    const about = { taskId: 'price-1', incidentId: 'incident-1', vehicleId: suspect.vehicleId };
    expect(last.event).to.deep.equal({ type: 'IncidentStep', ...about, state: 'confirmed' });
  });

  it('says whether the updates were opened', async () => {
    await driver.decide(['projections', 'confirm']);
    expect((await driver.culprits())[0]).to.include({ opened: false });
  });

  it('is content with a vehicle that its organisation has revoked already', async () => {
    const { vehicleId } = suspect;
    await consortium.submit(
      'registry:SetVehicleStatus',
      { vehicleId, status: 'revoked', reason: 'r' },
      MAKER,
      'registrar',
    );
    await driver.decide(['projections', 'confirm']);
    expect(await vehicle()).to.include({ status: 'revoked', statusSetBy: 'consortium' });
  });

  it('leaves the vehicle alone that is only suspended by its organisation, until it is confirmed', async () => {
    const { vehicleId } = suspect;
    await consortium.submit(
      'registry:SetVehicleStatus',
      { vehicleId, status: 'suspended', reason: 'r' },
      MAKER,
      'registrar',
    );
    await driver.decide(['projections']);
    expect(await vehicle()).to.include({ status: 'suspended', statusSetBy: 'organisation' });
    await driver.decide(['confirm']);
    expect(await vehicle()).to.include({ status: 'revoked', statusSetBy: 'consortium' });
  });

  it('is not undone by another that clears the same vehicle', async () => {
    await driver.openIncident(suspect, [1], { incidentId: 'incident-2' });
    await driver.decide(['projections', 'confirm']);
    const standing = await driver.standing(suspect);
    await driver.decide(['clear'], { incidentId: 'incident-2' });
    expect(await driver.standing(suspect)).to.deep.equal(standing);
    expect(await driver.culprits()).to.have.length(1);
  });
});

describe('Sums on one base', () => {
  it('are compared without a vehicle that was opened by vote', async () => {
    await fresh();
    await driver.closed(fleet, roundRef(3), base);
    await driver.aggregated(roundRef(3));
    await driver.abort(roundRef(3));
    const rest = fleet.slice(1);
    const again = roundRef(3, 2);
    await driver.closed(rest, again, base);
    await expectRefusal(driver.fix(again), 'COHORT_TOO_CLOSE');
    await driver.openIncident(suspect, [1, 2]);
    await driver.decide(['projections', 'vectors']);
    await expectRefusal(driver.fix(again), 'COHORT_TOO_CLOSE');
    await driver.decide(['confirm']);
    await driver.aggregated(again);
  });

  it('are compared with one that was confirmed without being opened', async () => {
    await fresh();
    await driver.closed(fleet, roundRef(3), base);
    await driver.aggregated(roundRef(3));
    await driver.abort(roundRef(3));
    await driver.openIncident(suspect, [1, 2]);
    await driver.decide(['projections', 'confirm']);
    await driver.closed(fleet.slice(1), roundRef(3, 2), base);
    await expectRefusal(driver.fix(roundRef(3, 2)), 'COHORT_TOO_CLOSE');
  });
});

describe('A task without validators', () => {
  it('has incidents, too, of vehicles without a standing', async () => {
    consortium = await TestConsortium.bootstrapped();
    driver = new IncidentDriver(consortium);
    const plain = new SecureDriver(consortium, secureTask());
    fleet = await enrolledFleet(consortium, 4);
    suspect = fleet[0]!;
    await plain.closed(fleet);
    await plain.aggregated();
    await plain.finalise(await plain.proposal(), [GRID, CITY, REGULATOR]);
    const record = await driver.openIncident(suspect, [1]);
    expect(record).to.include({ suspicionMilli: 0 }).and.to.not.have.property('scoresHash');
    expect(await driver.decide(['clear'])).to.include({ state: 'cleared' });
    await driver.openIncident(suspect, [1], { incidentId: 'incident-2' });
    expect(await driver.decide(['projections', 'confirm'], { incidentId: 'incident-2' })).to.include({
      state: 'confirmed',
    });
    await expectRefusal(driver.pay(1), 'REWARDS_NONE');
  });
});
