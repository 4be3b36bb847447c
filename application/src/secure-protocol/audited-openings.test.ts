// SPDX-License-Identifier: Apache-2.0
import {
  CITY,
  enrolledFleet,
  GRID,
  IncidentDriver,
  INITIAL_MODEL,
  MAKER,
  REGULATOR,
  roundRef,
  type Vehicle,
} from '@sev/chaincode/testing';
import { expect } from 'chai';
import { RecordedConsortium, replayed } from './testing/contract-history.js';

const MEASURED = { [GRID]: [20, 30], [CITY]: [20, 30], [MAKER]: [20, 30], [REGULATOR]: [20, 30] } as const;

describe('the audit rule of sums on one base', () => {
  it('compares them without a cleared vehicle whose update in one of them was opened, as the contract does', async () => {
    const consortium = await RecordedConsortium.begun();
    const driver = new IncidentDriver(consortium);
    const fleet = await enrolledFleet(consortium, 8);
    const [culprit, cleared, ...rest] = fleet as [Vehicle, Vehicle, ...Vehicle[]];
    const base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL);
    await driver.runRound(fleet, roundRef(2), base);
    const other = { incidentId: 'incident-2' };
    await driver.openIncident(cleared, [2], other);
    await driver.decide(['projections', 'vectors', 'clear'], other);
    await driver.openIncident(culprit, [2]);
    await driver.decide(['projections', 'vectors', 'confirm']);
    await driver.correct(driver.correction(2, base, MEASURED));
    // Counted, the cleared vehicle would be alone in the first of the sums on this base.
    await driver.runRound(rest, roundRef(3), base);
    const { state } = replayed(consortium.history);
    expect(state.rounds.get('price-1/3')).to.include({ state: 'finalised', baseModelHash: base });
  });
});
