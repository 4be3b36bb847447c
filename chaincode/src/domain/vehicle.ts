// SPDX-License-Identifier: Apache-2.0
import { ContractError, type VehicleRecord, type VehicleStatus } from '../api';

const NEXT: Readonly<Record<VehicleStatus, readonly VehicleStatus[]>> = {
  active: ['suspended', 'revoked'],
  suspended: ['active', 'revoked'],
  revoked: [],
};

export interface StatusChange {
  readonly status: VehicleStatus;
  readonly reason: string;
  readonly setBy: VehicleRecord['statusSetBy'];
}

/**
 * The vehicle after a change of status: between active and suspended, and from either to revoked, which is final.
 * What a vote suspended, only a vote reinstates.
 *
 * @returns the same object where nothing changes.
 * @throws ContractError VEHICLE_STATUS_TRANSITION
 */
export function changeStatus(vehicle: VehicleRecord, { status, reason, setBy }: StatusChange): VehicleRecord {
  const taken: VehicleRecord = { ...vehicle, status, statusReason: reason, statusSetBy: setBy };
  if (vehicle.status === status) {
    // A vote for what the organisation has already done binds the organisation to it.
    return setBy === 'consortium' && vehicle.statusSetBy === 'organisation' ? taken : vehicle;
  }
  if (!NEXT[vehicle.status].includes(status)) {
    throw new ContractError('VEHICLE_STATUS_TRANSITION', `from ${vehicle.status} to ${status}`);
  }
  if (status === 'active' && vehicle.statusSetBy === 'consortium' && setBy === 'organisation') {
    throw new ContractError('VEHICLE_STATUS_TRANSITION', 'suspended by a vote of the organisations; propose a vote');
  }
  return taken;
}
