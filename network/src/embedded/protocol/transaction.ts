// SPDX-License-Identifier: Apache-2.0
import { common, ledger, peer } from '@hyperledger/fabric-protos';
import { required } from './block.js';
import { payloadWithoutTransient, type UnpackedProposal } from './proposal.js';

/** What an endorser transaction did, and who endorsed it. */
export interface TransactionAction {
  readonly payloadBytes: Uint8Array;
  readonly signatureHeader: Uint8Array;
  readonly proposalPayload: Uint8Array;
  readonly proposalHash: Uint8Array;
  readonly responsePayload: Uint8Array;
  /** Undefined where the action names no chaincode. */
  readonly chaincodeName: string | undefined;
  readonly chaincodeVersion: string;
  readonly results: Uint8Array;
  readonly event: peer.ChaincodeEvent | undefined;
  readonly endorsements: readonly peer.Endorsement[];
  /** What of the chaincode's action does not decode; its fields are then empty. */
  readonly unreadable: 'action' | 'event' | undefined;
}

type ActionParts = Pick<TransactionAction, 'chaincodeName' | 'chaincodeVersion' | 'results' | 'event' | 'unreadable'>;

/** Bytes that all endorsers of a transaction must agree on. */
export function newResponsePayload(
  proposalHash: Uint8Array,
  response: peer.Response,
  results: Uint8Array,
  event: peer.ChaincodeEvent | undefined,
  chaincode: { name: string; version: string },
): Uint8Array {
  const chaincodeId = new peer.ChaincodeID();
  chaincodeId.setName(chaincode.name);
  chaincodeId.setVersion(chaincode.version);
  const action = new peer.ChaincodeAction();
  action.setResults(results);
  action.setResponse(response);
  action.setChaincodeId(chaincodeId);
  if (event !== undefined) {
    action.setEvents(event.serializeBinary());
  }
  const payload = new peer.ProposalResponsePayload();
  payload.setProposalHash(proposalHash);
  payload.setExtension$(action.serializeBinary());
  return payload.serializeBinary();
}

/** The unsigned envelope of an endorsed proposal (Fabric gateway `prepareTransaction`). */
export function prepareTransaction(
  proposal: UnpackedProposal,
  responsePayload: Uint8Array,
  endorsements: readonly peer.Endorsement[],
): common.Envelope {
  const endorsed = new peer.ChaincodeEndorsedAction();
  endorsed.setProposalResponsePayload(responsePayload);
  endorsed.setEndorsementsList([...endorsements]);
  const actionPayload = new peer.ChaincodeActionPayload();
  actionPayload.setChaincodeProposalPayload(payloadWithoutTransient(proposal.invocation));
  actionPayload.setAction(endorsed);
  const action = new peer.TransactionAction();
  action.setHeader(proposal.header.getSignatureHeader_asU8());
  action.setPayload(actionPayload.serializeBinary());
  const transaction = new peer.Transaction();
  transaction.addActions(action);
  const payload = new common.Payload();
  payload.setHeader(proposal.header);
  payload.setData(transaction.serializeBinary());
  const envelope = new common.Envelope();
  envelope.setPayload(payload.serializeBinary());
  return envelope;
}

/** Header of an envelope's payload. @throws Error where it does not decode. */
export function unpackEnvelope(envelope: common.Envelope): {
  payload: common.Payload;
  header: common.Header;
  channelHeader: common.ChannelHeader;
  signatureHeader: common.SignatureHeader;
} {
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const header = required(payload.getHeader(), 'payload header');
  return {
    payload,
    header,
    channelHeader: common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8()),
    signatureHeader: common.SignatureHeader.deserializeBinary(header.getSignatureHeader_asU8()),
  };
}

/** The single action of an endorser transaction. @throws Error where it does not decode or has not one action. */
export function unpackTransaction(data: Uint8Array): TransactionAction {
  const actions = peer.Transaction.deserializeBinary(data).getActionsList();
  const [action] = actions;
  if (action === undefined || actions.length !== 1) {
    throw new Error(`only one action per transaction is supported, tx contains ${String(actions.length)}`);
  }
  const actionPayload = peer.ChaincodeActionPayload.deserializeBinary(action.getPayload_asU8());
  const endorsed = required(actionPayload.getAction(), 'chaincode endorsed action');
  const responsePayload = endorsed.getProposalResponsePayload_asU8();
  const proposalResponse = peer.ProposalResponsePayload.deserializeBinary(responsePayload);
  return {
    payloadBytes: action.getPayload_asU8(),
    signatureHeader: action.getHeader_asU8(),
    proposalPayload: actionPayload.getChaincodeProposalPayload_asU8(),
    proposalHash: proposalResponse.getProposalHash_asU8(),
    responsePayload,
    endorsements: endorsed.getEndorsementsList(),
    ...unpackAction(proposalResponse.getExtension_asU8()),
  };
}

function unpackAction(extension: Uint8Array): ActionParts {
  let parts: ActionParts = {
    chaincodeName: undefined,
    chaincodeVersion: '',
    results: new Uint8Array(),
    event: undefined,
    unreadable: 'action',
  };
  try {
    const action = peer.ChaincodeAction.deserializeBinary(extension);
    parts = {
      chaincodeName: action.getChaincodeId()?.getName(),
      chaincodeVersion: action.getChaincodeId()?.getVersion() ?? '',
      results: action.getResults_asU8(),
      event: undefined,
      unreadable: 'event',
    };
    const events = action.getEvents_asU8();
    const event = events.length === 0 ? undefined : peer.ChaincodeEvent.deserializeBinary(events);
    return { ...parts, event, unreadable: undefined };
  } catch {
    // Which part it is decides the validation code.
    return parts;
  }
}

/** What a transaction read and wrote in one namespace, and the hashes of what it did in its collections. */
export interface NamespaceSet {
  readonly namespace: string;
  readonly rwset: ledger.rwset.kvrwset.KVRWSet;
  readonly collections: readonly {
    readonly name: string;
    readonly rwset: ledger.rwset.kvrwset.HashedRWSet;
    /** SHA-256 of the private read/write set; empty where nothing was written. */
    readonly privateHash: Uint8Array;
  }[];
}

/** Read/write sets in a transaction's results. @throws Error where they do not decode. */
export function unpackResults(results: Uint8Array): NamespaceSet[] {
  return ledger.rwset.TxReadWriteSet.deserializeBinary(results)
    .getNsRwsetList()
    .map((set) => ({
      namespace: set.getNamespace(),
      rwset: ledger.rwset.kvrwset.KVRWSet.deserializeBinary(set.getRwset_asU8()),
      collections: set.getCollectionHashedRwsetList().map((collection) => ({
        name: collection.getCollectionName(),
        rwset: ledger.rwset.kvrwset.HashedRWSet.deserializeBinary(collection.getHashedRwset_asU8()),
        privateHash: collection.getPvtRwsetHash_asU8(),
      })),
    }));
}
