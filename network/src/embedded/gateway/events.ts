// SPDX-License-Identifier: Apache-2.0
import { status } from '@grpc/grpc-js';
import { common, gateway, orderer, peer } from '@hyperledger/fabric-protos';
import { BLOCK_METADATA, getBlockMetadata } from '../protocol/block.js';
import { unpackEnvelope, unpackTransaction } from '../protocol/transaction.js';
import { blocksFrom } from './blocks.js';
import type { Channel } from './endorsement.js';
import { GatewayFault } from './status.js';
import { decodeRequest, requireReader } from './submission.js';

/**
 * Events that valid transactions of a chaincode emitted, one response a block that has any, from the requested start on
 * and then as blocks are committed, until the signal aborts.
 */
export async function* chaincodeEvents(
  channel: Channel,
  signed: gateway.SignedChaincodeEventsRequest,
  signal: AbortSignal,
): AsyncGenerator<gateway.ChaincodeEventsResponse> {
  const data = signed.getRequest_asU8();
  if (data.length === 0) {
    throw new GatewayFault(status.INVALID_ARGUMENT, 'a chaincode events request is required');
  }
  const request = decodeRequest('invalid chaincode events request', () =>
    gateway.ChaincodeEventsRequest.deserializeBinary(data),
  );
  requireReader(channel.access, request.getChannelId(), {
    data,
    identity: request.getIdentity_asU8(),
    signature: signed.getSignature_asU8(),
  });
  const afterTransaction = request.getAfterTransactionId();
  let isPast = afterTransaction === '';
  for await (const block of blocksFrom(channel.ledger, startBlock(channel, request), signal)) {
    const events: peer.ChaincodeEvent[] = [];
    for (const event of eventsOf(block)) {
      if (isPast && event.getChaincodeId() === request.getChaincodeId()) {
        events.push(event);
      }
      isPast ||= event.getTxId() === afterTransaction;
    }
    if (events.length > 0) {
      const response = new gateway.ChaincodeEventsResponse();
      response.setBlockNumber(block.getHeader()?.getNumber() ?? 0);
      response.setEventsList(events);
      yield response;
    }
  }
}

function startBlock(channel: Channel, request: gateway.ChaincodeEventsRequest): number {
  const after = channel.ledger.transaction(request.getAfterTransactionId());
  if (request.getAfterTransactionId() !== '' && after !== undefined) {
    return after.block;
  }
  const position = request.getStartPosition();
  const cases = orderer.SeekPosition.TypeCase;
  switch (position?.getTypeCase()) {
    case cases.SPECIFIED:
      return position.getSpecified()?.getNumber() ?? 0;
    case cases.OLDEST:
      throw invalidPosition('Oldest');
    case cases.NEWEST:
      throw invalidPosition('Newest');
    default:
      return channel.ledger.height;
  }
}

function invalidPosition(type: string): GatewayFault {
  return new GatewayFault(status.INVALID_ARGUMENT, `invalid start position type: *orderer.SeekPosition_${type}`);
}

function* eventsOf(block: common.Block): Generator<peer.ChaincodeEvent> {
  const flags = getBlockMetadata(block, BLOCK_METADATA.transactionsFilter);
  for (const [index, bytes] of (block.getData()?.getDataList_asU8() ?? []).entries()) {
    if (flags[index] !== peer.TxValidationCode.VALID) {
      continue;
    }
    const { channelHeader, payload } = unpackEnvelope(common.Envelope.deserializeBinary(bytes));
    if (channelHeader.getType() === common.HeaderType.ENDORSER_TRANSACTION) {
      const { event } = unpackTransaction(payload.getData_asU8());
      if (event !== undefined) {
        yield event;
      }
    }
  }
}
