// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
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
