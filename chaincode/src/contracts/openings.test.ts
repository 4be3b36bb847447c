// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { exposureProblem, weightedBy } from '../api';
import { CITY, GRID, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { IncidentDriver } from '../testing/incidents';
import { INITIAL_MODEL } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { roundRef } from '../testing/validated-learning';

let driver: IncidentDriver;
let fleet: Vehicle[];
let suspect: Vehicle;

/** Two finalised rounds of five vehicles that count alike; the task needs three. */
async function fresh(): Promise<void> {
  const consortium = await TestConsortium.bootstrapped();
  driver = new IncidentDriver(consortium);
  fleet = await enrolledFleet(consortium, 5);
  suspect = fleet[0]!;
  const base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL);
  await driver.runRound(fleet, roundRef(2), base);
}

/** What two of the three votes that take a step leave to the regulator. */
async function almost(incidentId: string): Promise<void> {
  await driver.vote(GRID, 'projections', { incidentId });
  await driver.vote(CITY, 'projections', { incidentId });
}

describe('Numbers of one update', () => {
  beforeEach(fresh);

  it('are opened by one incident: none is opened about it afterwards', async () => {
    await driver.openIncident(suspect, [1, 2]);
    await driver.decide(['projections', 'clear']);
    const again = { incidentId: 'incident-2' };
    await expectRefusal(driver.openIncident(suspect, [2], again), 'INCIDENT_INVALID');
    await driver.openIncident(fleet[1]!, [2], again);
  });

  it('are opened by one of two incidents that were opened before, whichever is decided first', async () => {
    await driver.openIncident(suspect, [1, 2]);
    await driver.openIncident(suspect, [2], { incidentId: 'incident-2' });
    await almost('incident-1');
    await driver.decide(['projections'], { incidentId: 'incident-2' });
    await expectRefusal(driver.vote(REGULATOR, 'projections'), 'INCIDENT_INVALID');
    expect(await driver.incident()).to.include({ state: 'open' });
    await driver.decide(['vectors', 'confirm'], { incidentId: 'incident-2' });
  });

  it('of an update about which an incident was cleared before anything was opened may still be', async () => {
    await driver.openIncident(suspect, [1]);
    await driver.decide(['clear']);
    await driver.openIncident(suspect, [1], { incidentId: 'incident-2' });
    await driver.decide(['projections'], { incidentId: 'incident-2' });
  });
});

describe('Updates of one sum', () => {
  /** Opens the whole update of one vehicle in a round. */
  const openWhole = async (vehicle: Vehicle, round: number, incidentId: string): Promise<unknown> => {
    await driver.openIncident(vehicle, [round], { incidentId });
    return driver.decide(['projections', 'vectors'], { incidentId });
  };

  it('are opened as long as those that are left are as many as a cohort, whatever becomes of the incidents', async () => {
    await fresh();
    await openWhole(fleet[0]!, 1, 'incident-1');
    await driver.decide(['clear']);
    await openWhole(fleet[1]!, 1, 'incident-2');
    await expectRefusal(openWhole(fleet[2]!, 1, 'incident-3'), 'INCIDENT_INVALID');
    expect(await driver.incident('incident-3')).to.include({ state: 'projections' });
    await openWhole(fleet[2]!, 2, 'incident-4');
  });

  it('hide each other where they count alike, and nobody where they count nothing', () => {
    const members = ['a', 'b', 'c', 'd', 'e', 'f'].map((vehicleId) => ({ vehicleId }));
    const sum = weightedBy(members, [2, 2, 2, 1, 1, 0]);
    const problemOf = (vehicleId: string, opened: readonly string[] = []) =>
      exposureProblem(vehicleId, sum, new Set(opened), 2);
    expect(problemOf('a')).to.equal(undefined);
    expect(problemOf('a', ['d', 'f'])).to.equal(undefined);
    expect(problemOf('a', ['b'])).to.include('a sum of 1 vehicles');
    expect(problemOf('d')).to.include('a sum of 1 vehicles');
    expect(problemOf('f')).to.equal(undefined);
  });
});
