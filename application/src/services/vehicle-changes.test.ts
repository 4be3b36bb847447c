// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { changedVehicle } from './vehicle-changes.js';

describe('changedVehicle', () => {
  it('names whose status or key changed, and about whom an incident was decided', () => {
    const vehicleId = 'v-one';
    const step = { type: 'IncidentStep', taskId: 'price-1', incidentId: 'incident-1', vehicleId } as const;
    expect(changedVehicle({ type: 'VehicleStatusChanged', vehicleId, status: 'suspended' })).to.equal(vehicleId);
    expect(changedVehicle({ type: 'VehicleKeyChanged', vehicleId, rotation: 1 })).to.equal(vehicleId);
    expect(changedVehicle({ ...step, state: 'confirmed' })).to.equal(vehicleId);
    expect(changedVehicle({ ...step, state: 'cleared' })).to.equal(vehicleId);
  });

  it('names nobody while an incident is undecided, and for what is not about a vehicle', () => {
    const step = { type: 'IncidentStep', taskId: 'price-1', incidentId: 'incident-1', vehicleId: 'v-one' } as const;
    expect(changedVehicle({ ...step, state: 'projections' })).to.equal(undefined);
    expect(changedVehicle({ ...step, state: 'vectors' })).to.equal(undefined);
    expect(changedVehicle({ type: 'ConsortiumChanged', hash: 'a'.repeat(64) })).to.equal(undefined);
  });
});
