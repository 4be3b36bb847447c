// SPDX-License-Identifier: Apache-2.0
import { common, orderer, peer } from '@hyperledger/fabric-protos';
import { required } from '../protocol/block.js';
import { unpackEnvelope } from '../protocol/transaction.js';
import type { SignedRequest } from '../access.js';
import { blocksFrom } from './blocks.js';
import type { BlockView } from './blockviews.js';
import type { Channel } from './endorsement.js';

type Status = common.StatusMap[keyof common.StatusMap];
const POSITION = orderer.SeekPosition.TypeCase;

/**
 * Answers one seek request of Deliver: the blocks it asks for, seen as `view` shows them, then a status. Ends without a
 * status where the signal aborts.
 */
export async function* deliverBlocks(
  channel: Channel,
  envelope: common.Envelope,
  view: BlockView,
  signal: AbortSignal,
): AsyncGenerator<peer.DeliverResponse> {
  const request = readRequest(channel, envelope);
  if (typeof request === 'number') {
    yield statusResponse(request);
    return;
  }
  const { start, stop, failIfNotReady, reader } = request;
  if (failIfNotReady && start >= channel.ledger.height) {
    yield statusResponse(common.Status.NOT_FOUND);
    return;
  }
  for await (const block of blocksFrom(channel.ledger, start, signal)) {
    // Who was revoked or has expired meanwhile sees no more.
    if (!channel.access.satisfies('Readers', reader)) {
      yield statusResponse(common.Status.FORBIDDEN);
      return;
    }
    yield view(block, reader.identity);
    const next = required(block.getHeader(), 'block header').getNumber() + 1;
    if (next > stop) {
      break;
    }
    if (failIfNotReady && next >= channel.ledger.height) {
      yield statusResponse(common.Status.NOT_FOUND);
      return;
    }
  }
  if (!signal.aborted) {
    yield statusResponse(common.Status.SUCCESS);
  }
}

interface DeliverRequest {
  readonly start: number;
  readonly stop: number;
  readonly failIfNotReady: boolean;
  readonly reader: SignedRequest;
}

/** The checks of Fabric's deliver handler, in its order. */
function readRequest(channel: Channel, envelope: common.Envelope): DeliverRequest | Status {
  let unpacked: ReturnType<typeof unpackEnvelope>;
  let seek: orderer.SeekInfo;
  try {
    unpacked = unpackEnvelope(envelope);
    seek = orderer.SeekInfo.deserializeBinary(unpacked.payload.getData_asU8());
  } catch {
    return common.Status.BAD_REQUEST;
  }
  if (unpacked.channelHeader.getChannelId() !== channel.name) {
    return common.Status.NOT_FOUND;
  }
  const reader = {
    data: envelope.getPayload_asU8(),
    identity: unpacked.signatureHeader.getCreator_asU8(),
    signature: envelope.getSignature_asU8(),
  };
  if (!channel.access.satisfies('Readers', reader)) {
    return common.Status.FORBIDDEN;
  }
  const last = channel.ledger.height - 1;
  const start = positionOf(seek.getStart(), last);
  const isNewestOnly =
    seek.getStart()?.getTypeCase() === POSITION.NEWEST && seek.getStop()?.getTypeCase() === POSITION.NEWEST;
  const stop = isNewestOnly ? start : positionOf(seek.getStop(), last);
  if (start === undefined || stop === undefined || stop < start) {
    return common.Status.BAD_REQUEST;
  }
  return {
    start,
    stop,
    reader,
    failIfNotReady: seek.getBehavior() === orderer.SeekInfo.SeekBehavior.FAIL_IF_NOT_READY,
  };
}

function positionOf(position: orderer.SeekPosition | undefined, last: number): number | undefined {
  switch (position?.getTypeCase()) {
    case POSITION.OLDEST:
      return 0;
    case POSITION.NEWEST:
      return last;
    case POSITION.NEXT_COMMIT:
      return last + 1;
    case POSITION.SPECIFIED:
      return position.getSpecified()?.getNumber();
    default:
      return undefined;
  }
}

function statusResponse(value: Status): peer.DeliverResponse {
  const response = new peer.DeliverResponse();
  response.setStatus(value);
  return response;
}
