// SPDX-License-Identifier: Apache-2.0
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { gateway, google } from '@hyperledger/fabric-protos';
import anyProto from 'google-protobuf/google/protobuf/any_pb.js';

/** Which node said what. */
export interface NodeError {
  readonly address: string;
  readonly mspId: string;
  readonly message: string;
}

/** A call that ends with a gRPC status, its details as the Gateway sends them. */
export class GatewayFault extends Error {
  constructor(
    readonly code: status,
    message: string,
    readonly nodeErrors: readonly NodeError[] = [],
  ) {
    super(message);
    this.name = 'GatewayFault';
  }

  /** The error in the form that `@grpc/grpc-js` sends: details travel in `grpc-status-details-bin`. */
  toServiceError(): ServiceError {
    const metadata = new Metadata();
    if (this.nodeErrors.length > 0) {
      const rpcStatus = new google.rpc.Status();
      rpcStatus.setCode(this.code);
      rpcStatus.setMessage(this.message);
      rpcStatus.setDetailsList(this.nodeErrors.map(packNodeError));
      metadata.set('grpc-status-details-bin', Buffer.from(rpcStatus.serializeBinary()));
    }
    return Object.assign(new Error(this.message), {
      code: this.code,
      details: this.message,
      metadata,
    });
  }
}

/** Any failure as a gRPC error; what is not a `GatewayFault` is UNKNOWN, as in a Go service. */
export function toServiceError(error: unknown): ServiceError {
  if (error instanceof GatewayFault) {
    return error.toServiceError();
  }
  const message = error instanceof Error ? error.message : String(error);
  return new GatewayFault(status.UNKNOWN, message).toServiceError();
}

function packNodeError(error: NodeError): anyProto.Any {
  const detail = new gateway.ErrorDetail();
  detail.setAddress(error.address);
  detail.setMspId(error.mspId);
  detail.setMessage(error.message);
  const packed = new anyProto.Any();
  packed.setTypeUrl('type.googleapis.com/gateway.ErrorDetail');
  packed.setValue(detail.serializeBinary());
  return packed;
}
