// SPDX-License-Identifier: Apache-2.0
import { status } from '@grpc/grpc-js';
import { common, gateway, type peer } from '@hyperledger/fabric-protos';
import type { ChannelAccess, SignedRequest } from '../access.js';
import { LedgerError } from '../ledger/errors.js';
import type { Orderer } from '../ordering/orderer.js';
import { implicitPolicyFailure } from '../policies.js';
import { unpackEnvelope } from '../protocol/transaction.js';
import { unknownChannel, type Channel } from './endorsement.js';
import type { OrdererQuorum } from './quorum.js';
import { GatewayFault } from './status.js';

/** `Orderer.BatchSize.AbsoluteMaxBytes`. */
export const ABSOLUTE_MAX_BYTES = 10 * 1024 * 1024;

/** Submit and CommitStatus of a gateway. */
export class SubmissionService {
  readonly #channel: Channel;
  readonly #orderer: Orderer;
  readonly #quorum: OrdererQuorum;

  constructor(channel: Channel, orderer: Orderer, quorum: OrdererQuorum) {
    this.#channel = channel;
    this.#orderer = orderer;
    this.#quorum = quorum;
  }

  /** Hands a signed transaction to the orderer; returns once it is taken, which is before it is committed. */
  submit(request: gateway.SubmitRequest): gateway.SubmitResponse {
    const envelope = request.getPreparedTransaction();
    if (envelope === undefined) {
      throw new GatewayFault(status.INVALID_ARGUMENT, 'a prepared transaction is required');
    }
    if (envelope.getSignature_asU8().length === 0) {
      throw new GatewayFault(status.INVALID_ARGUMENT, 'prepared transaction must be signed');
    }
    if (request.getChannelId() !== this.#channel.name) {
      throw new GatewayFault(status.FAILED_PRECONDITION, unknownChannel(request.getChannelId()));
    }
    this.#quorum.require();
    this.#admit(envelope);
    try {
      this.#orderer.order(envelope.serializeBinary());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new GatewayFault(status.UNAVAILABLE, `no orderers could successfully process transaction: ${reason}`);
    }
    return new gateway.SubmitResponse();
  }

  /** Waits until a transaction is committed. @returns undefined where the signal aborted first. */
  async commitStatus(
    signed: gateway.SignedCommitStatusRequest,
    signal: AbortSignal,
  ): Promise<gateway.CommitStatusResponse | undefined> {
    const data = signed.getRequest_asU8();
    if (data.length === 0) {
      throw new GatewayFault(status.INVALID_ARGUMENT, 'a commit status request is required');
    }
    const request = decodeRequest('invalid status request', () => gateway.CommitStatusRequest.deserializeBinary(data));
    const identity = request.getIdentity_asU8();
    if (identity.length === 0) {
      throw new GatewayFault(status.INVALID_ARGUMENT, 'no identity provided');
    }
    if (request.getChannelId() === '') {
      throw new GatewayFault(status.INVALID_ARGUMENT, 'no channel ID provided');
    }
    if (request.getTransactionId() === '') {
      throw new GatewayFault(status.INVALID_ARGUMENT, 'transaction ID should not be empty');
    }
    requireReader(this.#channel.access, request.getChannelId(), {
      data,
      identity,
      signature: signed.getSignature_asU8(),
    });
    const committed = await this.#channel.ledger
      .waitForTransaction(request.getTransactionId(), signal)
      .catch((error: unknown) => {
        throw error instanceof LedgerError ? new GatewayFault(status.UNAVAILABLE, error.message) : error;
      });
    if (committed === undefined) {
      return undefined;
    }
    const response = new gateway.CommitStatusResponse();
    response.setResult(committed.code as peer.TxValidationCodeMap[keyof peer.TxValidationCodeMap]);
    response.setBlockNumber(committed.block);
    return response;
  }

  /** The orderer's filters. */
  #admit(envelope: common.Envelope): void {
    let unpacked: ReturnType<typeof unpackEnvelope>;
    try {
      unpacked = unpackEnvelope(envelope);
    } catch (error) {
      throw this.#quorum.refusal('BAD_REQUEST', String(error));
    }
    const { channelHeader, signatureHeader } = unpacked;
    if (channelHeader.getChannelId() !== this.#channel.name) {
      throw this.#quorum.refusal('BAD_REQUEST', 'channel creation request not allowed');
    }
    if (channelHeader.getType() !== common.HeaderType.ENDORSER_TRANSACTION) {
      throw new GatewayFault(
        status.UNIMPLEMENTED,
        'configuration transactions are not supported by the embedded network',
      );
    }
    const data = envelope.getPayload_asU8();
    const signature = envelope.getSignature_asU8();
    const size = data.length + signature.length;
    if (size > ABSOLUTE_MAX_BYTES) {
      throw this.#quorum.refusal(
        'BAD_REQUEST',
        `message payload is ${String(size)} bytes and exceeds maximum allowed ${String(ABSOLUTE_MAX_BYTES)} bytes`,
      );
    }
    const identity = signatureHeader.getCreator_asU8();
    if (!this.#channel.access.satisfies('Writers', { data, identity, signature })) {
      throw this.#quorum.refusal('FORBIDDEN', `${implicitPolicyFailure('Writers')}: permission denied`);
    }
  }
}

/** @throws GatewayFault PERMISSION_DENIED unless a reader of the channel has signed the request. */
export function requireReader(access: ChannelAccess, channel: string, request: SignedRequest): void {
  try {
    access.check('Readers', channel, request);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatewayFault(status.PERMISSION_DENIED, reason);
  }
}

/** @throws GatewayFault INVALID_ARGUMENT where a message does not decode. */
export function decodeRequest<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new GatewayFault(status.INVALID_ARGUMENT, `${what}: ${String(error)}`);
  }
}
