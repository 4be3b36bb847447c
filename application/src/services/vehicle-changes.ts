// SPDX-License-Identifier: Apache-2.0
import type { LedgerEvent } from '@sev/chaincode/api';

/**
 * The vehicle whose record an event may have changed: its status, its key, or what an incident that was decided made of it.
 * Whoever remembers the vehicle looks it up again.
 */
export function changedVehicle(event: LedgerEvent): string | undefined {
  switch (event.type) {
    case 'VehicleStatusChanged':
    case 'VehicleKeyChanged':
      return event.vehicleId;
    case 'IncidentStep':
      return event.state === 'confirmed' || event.state === 'cleared' ? event.vehicleId : undefined;
    default:
      return undefined;
  }
}
