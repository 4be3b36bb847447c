// SPDX-License-Identifier: Apache-2.0
import { common, msp, peer } from '@hyperledger/fabric-protos';
import { sha256 } from './block.js';

/** A signed proposal taken apart. */
export interface UnpackedProposal {
  readonly signedProposal: peer.SignedProposal;
  readonly header: common.Header;
  readonly channelId: string;
  readonly type: number;
  readonly epoch: number;
  readonly transactionId: string;
  readonly timestampMs: number;
  readonly creator: Uint8Array;
  readonly nonce: Uint8Array;
  readonly chaincodeName: string;
  /** Serialised `ChaincodeInvocationSpec`. */
  readonly invocation: Uint8Array;
  readonly input: peer.ChaincodeInput;
  readonly hasTransientData: boolean;
}

/**
 * Takes a signed proposal apart.
 * @throws Error worded as Fabric words it, where a part is missing or does not decode.
 */
export function unpackProposal(signedProposal: peer.SignedProposal | undefined): UnpackedProposal {
  const bytes = signedProposal?.getProposalBytes_asU8() ?? new Uint8Array();
  if (signedProposal === undefined || bytes.length === 0) {
    throw new Error('a signed proposal is required');
  }
  const proposal = decode('Proposal', () => peer.Proposal.deserializeBinary(bytes));
  const header = decode('Header', () => common.Header.deserializeBinary(proposal.getHeader_asU8()));
  const channelHeader = decode('ChannelHeader', () =>
    common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8()),
  );
  const signatureHeader = decode('SignatureHeader', () =>
    common.SignatureHeader.deserializeBinary(header.getSignatureHeader_asU8()),
  );
  const payload = decode('ChaincodeProposalPayload', () =>
    peer.ChaincodeProposalPayload.deserializeBinary(proposal.getPayload_asU8()),
  );
  const invocation = payload.getInput_asU8();
  const spec = decode('ChaincodeInvocationSpec', () =>
    peer.ChaincodeInvocationSpec.deserializeBinary(invocation),
  ).getChaincodeSpec();
  const channelId = channelHeader.getChannelId();
  if (channelId === '') {
    throw new Error('no channel id provided');
  }
  if (spec === undefined) {
    throw new Error(`no chaincode spec is provided, channel id [${channelId}]`);
  }
  const chaincodeId = spec.getChaincodeId();
  if (chaincodeId === undefined) {
    throw new Error(`no chaincode id is provided, channel id [${channelId}]`);
  }
  if (chaincodeId.getName() === '') {
    throw new Error(`no chaincode name is provided, channel id [${channelId}]`);
  }
  const input = spec.getInput();
  if (input === undefined) {
    throw new Error('chaincode input did not contain any input');
  }
  const timestamp = channelHeader.getTimestamp();
  return {
    signedProposal,
    header,
    channelId,
    type: channelHeader.getType(),
    epoch: channelHeader.getEpoch(),
    transactionId: channelHeader.getTxId(),
    timestampMs: (timestamp?.getSeconds() ?? 0) * 1000 + (timestamp?.getNanos() ?? 0) / 1e6,
    creator: signatureHeader.getCreator_asU8(),
    nonce: signatureHeader.getNonce_asU8(),
    chaincodeName: chaincodeId.getName(),
    invocation,
    input,
    hasTransientData: payload.getTransientmapMap().getLength() > 0,
  };
}

/** Transaction id: hex of SHA-256 over nonce and creator (Fabric `protoutil.ComputeTxID`). */
export function computeTransactionId(nonce: Uint8Array, creator: Uint8Array): string {
  return sha256(nonce, creator).toString('hex');
}

/** The part of a proposal's payload that goes into the transaction: everything but transient data. */
export function payloadWithoutTransient(invocation: Uint8Array): Uint8Array {
  const payload = new peer.ChaincodeProposalPayload();
  payload.setInput(invocation);
  return payload.serializeBinary();
}

/** Hash that binds endorsements to the proposal (Fabric `protoutil.GetProposalHash2`). */
export function proposalHash(channelHeader: Uint8Array, signatureHeader: Uint8Array, payload: Uint8Array): Buffer {
  return sha256(channelHeader, signatureHeader, payload);
}

/** The MSP id a serialised identity claims; empty where it does not decode. */
export function claimedMspId(serializedIdentity: Uint8Array): string {
  try {
    return msp.SerializedIdentity.deserializeBinary(serializedIdentity).getMspid();
  } catch {
    return '';
  }
}

function decode<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(`error unmarshalling ${what}: ${String(cause)}`, { cause });
  }
}
