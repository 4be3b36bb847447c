// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { signStatement, type Domain } from '@sev/chaincode/api';
import { randomVehicleId, type SigningKey } from '@sev/chaincode/testing';
import {
  certificateRequest,
  requestStatement,
  type ProvisionedCar,
  type RequestType,
  type VehicleRequest,
} from '@sev/application';

export interface Asked {
  /** Default: a new one. */
  readonly vehicleId?: string;
  readonly publicKey: string;
  readonly mspId: string;
  readonly domain: Domain;
  readonly type?: RequestType;
  /** The vehicle's own key, where the request is for a registrar; the maker does not look at what it signs. */
  readonly key?: SigningKey;
  /** Default: the car's. */
  readonly provisioningKey?: KeyObject;
}

/** What a car, or whoever has its keys, asks for; well-formed, whatever it says. */
export function requestOf({ privateKey, ...provisioning }: ProvisionedCar, asked: Asked): VehicleRequest {
  const { vehicleId = randomVehicleId(), publicKey, mspId, domain, type, key } = asked;
  const content = { vehicleId, publicKey, mspId, domain };
  const provisioningKey = asked.provisioningKey ?? createPrivateKey(privateKey);
  return {
    ...content,
    csr: key === undefined ? '' : certificateRequest(vehicleId, key.privateKey),
    provisioning,
    provisioningProof: signStatement(requestStatement(content, type), provisioningKey),
    proof: key === undefined ? '' : signStatement(requestStatement(content), key.privateKey),
  };
}
