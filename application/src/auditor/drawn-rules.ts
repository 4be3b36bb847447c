// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, newVehicleData, type VehicleDataRecord } from '@sev/chaincode/api';
import {
  recordError,
  standingKey,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import type { Audited } from './records.js';

/**
 * What drawn vehicles are bound to follows from the updates that a transaction records: the first word in a task binds its
 * vehicle to its data. Nothing else writes such a record.
 *
 * @throws AuditError VALIDATION_INVALID
 */
export function checkVehicleDataWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'vehicleData'>>[],
  updates: readonly RecordWrite<Audited<'update'>>[],
): void {
  const expected = updates.flatMap(({ record }) => {
    const data = newVehicleData(record, state.vehicleData.get(standingKey(record)));
    return data === undefined ? [] : [data];
  });
  const written = writes.map(({ record }) => record);
  if (canonicalJson(byVehicle(written)) !== canonicalJson(byVehicle(expected))) {
    const names = [...new Set([...written, ...expected].map(({ vehicleId }) => vehicleId))].sort().join(', ');
    const detail = `what binds ${names} to data does not follow from the updates`;
    throw recordError(transaction, 'VALIDATION_INVALID', detail);
  }
  for (const record of written) {
    state.vehicleData.set(standingKey(record), record);
  }
}

function byVehicle(records: readonly VehicleDataRecord[]): readonly VehicleDataRecord[] {
  return [...records].sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
}
