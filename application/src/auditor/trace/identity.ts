// SPDX-License-Identifier: Apache-2.0
import type { VehicleRecord } from '@sev/chaincode/api';
import type { registry } from '../../ledger/contracts.js';
import { mapConcurrently } from '../../services/concurrency.js';

/** Who stands behind a vehicle id, by the registry. */
export interface TracedIdentity {
  readonly vehicleId: string;
  /** Organisation that enrolled it, whose CA certified its key. */
  readonly enrolledBy: string;
  readonly enrolledAtMs: number;
  /** Key that attested its car, and the organisation that the key was accredited for. */
  readonly makerKeyId: string;
  readonly maker: string;
  readonly status: VehicleRecord['status'];
  readonly statusReason: string;
  readonly keyRotations: number;
}

type Registry = ReturnType<typeof registry>;

/** Vehicles looked up at a time. */
const AT_A_TIME = 8;

export async function identityOfVehicle(contract: Registry, vehicleId: string): Promise<TracedIdentity> {
  const record = await contract.vehicle(vehicleId);
  const { mspId, enrolledAtMs, makerKeyId, makerMspId, status, statusReason, keyRotations } = record;
  return {
    ...{ vehicleId, enrolledBy: mspId, enrolledAtMs, makerKeyId, maker: makerMspId },
    ...{ status, statusReason, keyRotations },
  };
}

/** By vehicle id. */
export async function identitiesOf(
  contract: Registry,
  vehicleIds: Iterable<string>,
): Promise<ReadonlyMap<string, TracedIdentity>> {
  const found = await mapConcurrently([...vehicleIds], AT_A_TIME, (id) => identityOfVehicle(contract, id));
  return new Map(found.map((identity) => [identity.vehicleId, identity]));
}
