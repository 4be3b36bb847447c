// SPDX-License-Identifier: Apache-2.0
import { common, gateway, msp, peer } from '@hyperledger/fabric-protos';
import type { Commit, Proposal } from '@hyperledger/fabric-gateway';
import { PARITY_CHANNEL, type ParityClient } from './scenario.js';

/** A request for the status of a transaction, which need not exist, signed by the client when it asks. */
export function newCommit({ gateway: client }: ParityClient, transactionId: string, channel = PARITY_CHANNEL): Commit {
  const request = new gateway.CommitStatusRequest();
  request.setChannelId(channel);
  request.setTransactionId(transactionId);
  const { mspId, credentials } = client.getIdentity();
  const identity = new msp.SerializedIdentity();
  identity.setMspid(mspId);
  identity.setIdBytes(credentials);
  request.setIdentity(identity.serializeBinary());
  const signed = new gateway.SignedCommitStatusRequest();
  signed.setRequest(request.serializeBinary());
  return client.newCommit(signed.serializeBinary());
}

/** A proposal whose channel header was changed before the client signed it. */
export function editedProposal(
  client: ParityClient,
  key: string,
  edit: (header: common.ChannelHeader) => void,
): Proposal {
  const proposal = client.contract.newProposal('put', { arguments: [key, 'x'] });
  const proposed = gateway.ProposedTransaction.deserializeBinary(proposal.getBytes());
  const signed = proposed.getProposal() ?? new peer.SignedProposal();
  const inner = peer.Proposal.deserializeBinary(signed.getProposalBytes_asU8());
  const header = common.Header.deserializeBinary(inner.getHeader_asU8());
  const channelHeader = common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8());
  edit(channelHeader);
  header.setChannelHeader(channelHeader.serializeBinary());
  inner.setHeader(header.serializeBinary());
  signed.setProposalBytes(inner.serializeBinary());
  signed.setSignature('');
  proposed.setProposal(signed);
  return client.gateway.newProposal(proposed.serializeBinary());
}
