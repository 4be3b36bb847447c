// SPDX-License-Identifier: Apache-2.0
import { Metadata, type ServiceError, type status } from '@grpc/grpc-js';
import { GatewayError } from '@hyperledger/fabric-gateway';

/** An error as the Gateway client throws it. */
export function gatewayError(code: status, message: string, details: readonly string[] = []): GatewayError {
  const cause: ServiceError = Object.assign(new Error(message), { code, details: message, metadata: new Metadata() });
  return new GatewayError({
    code,
    message,
    cause,
    details: details.map((text) => ({ address: 'localhost:7051', mspId: 'GridOperatorMSP', message: text })),
  });
}
