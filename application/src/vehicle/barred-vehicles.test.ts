// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { learning } from '../ledger/contracts.js';
import { Federation } from '../testing/federation.js';
import { BarredVehicles } from './barred-vehicles.js';

describe('Barred vehicles', () => {
  const validation = { validators: [], pastRounds: 0, quarantineMilli: 1 };
  const { ledger, task, vehicleIds } = new Federation({ vehicles: 3, secure: { projections: 1, validation } });
  const [barred = '', other = '', third = ''] = vehicleIds;
  let asked = 0;
  const session = ledger.session('CityMSP');
  const counting = learning({ ...session, evaluate: (...call) => (asked++, session.evaluate(...call)) });

  beforeEach(() => {
    ledger.standings.splice(0, 1, { vehicleId: barred, quarantined: { round: 1, suspicionMilli: 6_000 } });
    asked = 0;
  });

  it('are looked for only once an update was not recorded', async () => {
    const vehicles = new BarredVehicles(counting);
    vehicles.ended(task.taskId, barred, 'recorded');
    expect(await vehicles.from(task)).to.deep.equal([]);
    expect(asked).to.equal(0);
  });

  it('are those that the ledger names, whether it refused their update or aggregators let them come too late', async () => {
    for (const delivery of ['refused', 'too-late'] as const) {
      const vehicles = new BarredVehicles(counting);
      vehicles.ended(task.taskId, barred, delivery);
      vehicles.ended(task.taskId, other, delivery);
      vehicles.ended('another-task', third, delivery);
      expect(await vehicles.from(task)).to.deep.equal([barred]);
    }
  });

  it('are so until the ledger lets them in again, and then not asked for any more', async () => {
    const vehicles = new BarredVehicles(counting);
    vehicles.ended(task.taskId, barred, 'refused');
    expect(await vehicles.from(task)).to.deep.equal([barred]);
    ledger.standings.splice(0);
    expect(await vehicles.from(task)).to.deep.equal([]);
    const before = asked;
    expect(await vehicles.from(task)).to.deep.equal([]);
    expect(asked).to.equal(before);
  });
});
