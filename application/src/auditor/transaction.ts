// SPDX-License-Identifier: Apache-2.0
import { common, ledger, peer } from '@hyperledger/fabric-protos';
import { sha256 } from './block-hash.js';
import type { EndorsementRules } from './endorsement-rules.js';
import { MembershipError, type Member, type Membership } from './membership.js';
import { validSigners, type PolicyRule } from './policies.js';

export type ValidationCode = peer.TxValidationCodeMap[keyof peer.TxValidationCodeMap];
type KvRwSet = ledger.rwset.kvrwset.KVRWSet;
type HashedRwSet = ledger.rwset.kvrwset.HashedRWSet;

const CODES = peer.TxValidationCode;
const TYPES = common.HeaderType;

/** What one namespace of the chaincode's state was read and written. */
export interface NamespaceSets {
  readonly namespace: string;
  readonly publicSet: KvRwSet;
  readonly collections: readonly { readonly name: string; readonly set: HashedRwSet }[];
}

/** A transaction proposed by a client and endorsed by organisations. */
export interface EndorsedTransaction {
  readonly chaincode: string;
  readonly args: readonly Uint8Array[];
  readonly response: Uint8Array;
  readonly sets: readonly NamespaceSets[];
  readonly signaturesChecked: number;
}

/** What could be read of a transaction; the fields that its validation code allows to be known. */
export interface AuditTransaction {
  readonly type: 'endorsed' | 'config' | 'unreadable';
  readonly txId: string;
  readonly timestampMs: number;
  /** True where the id is that of its nonce and creator: no other transaction may use it. */
  readonly ownsId: boolean;
  /** True where only duplicates, the result and its endorsements are left to be checked, in this order. */
  readonly isWellFormed: boolean;
  readonly creator?: Member;
  readonly endorsed?: EndorsedTransaction;
}

/** The validation code that follows from the transaction's own bytes, with the reason for every code but VALID. */
export interface Verdict {
  readonly code: ValidationCode;
  readonly reason: string;
  readonly transaction: AuditTransaction;
}

interface Headers {
  readonly payload: common.Payload;
  readonly header: common.Header;
  readonly channel: common.ChannelHeader;
  readonly signature: common.SignatureHeader;
}

class Refusal extends Error {
  constructor(
    readonly code: ValidationCode,
    reason: string,
  ) {
    super(reason);
  }
}

/**
 * Repeats a committing peer's check of one transaction, in the peer's order: headers, creator and signature,
 * transaction id = SHA-256(nonce ‖ creator), proposal hash, endorsements (Fabric, core/common/validation and the
 * default endorsement plugin). Duplicates and versions depend on the ledger before it and come after.
 */
export function inspectTransaction(
  envelopeBytes: Uint8Array,
  channelId: string,
  membership: Membership,
  rules: EndorsementRules,
): Verdict {
  let transaction: AuditTransaction = {
    type: 'unreadable',
    txId: '',
    timestampMs: 0,
    ownsId: false,
    isWellFormed: false,
  };
  try {
    const envelope = parse(common.Envelope, envelopeBytes, CODES.INVALID_OTHER_REASON, 'the envelope');
    const headers = readHeaders(envelope.getPayload_asU8());
    const { channel } = headers;
    const type = channel.getType();
    transaction = {
      ...transaction,
      type: type === TYPES.CONFIG ? 'config' : type === TYPES.ENDORSER_TRANSACTION ? 'endorsed' : 'unreadable',
      txId: channel.getTxId(),
      timestampMs: timestampMs(channel),
    };
    const isGenesis = type === TYPES.CONFIG && headers.signature.getCreator_asU8().length === 0;
    if (!isGenesis) {
      transaction = { ...transaction, creator: checkCreator(envelope, headers, membership) };
    }
    if (type === TYPES.ENDORSER_TRANSACTION) {
      checkTransactionId(headers);
      transaction = { ...transaction, ownsId: true };
      const action = readAction(headers);
      checkChannel(channel, channelId);
      transaction = { ...transaction, isWellFormed: true };
      transaction = { ...transaction, endorsed: checkEndorsed(channel, action, membership, rules) };
    } else if (type === TYPES.CONFIG) {
      checkChannel(channel, channelId);
      transaction = { ...transaction, ownsId: true };
    } else {
      throw new Refusal(CODES.UNSUPPORTED_TX_PAYLOAD, `header type ${String(type)}`);
    }
    return { code: CODES.VALID, reason: '', transaction };
  } catch (error) {
    if (error instanceof Refusal) {
      return { code: error.code, reason: error.message, transaction };
    }
    throw error;
  }
}

export function validationCodeName(code: number): string {
  const entry = Object.entries(CODES).find(([, value]) => value === code);
  return entry?.[0] ?? `code ${String(code)}`;
}

function parse<T>(
  type: { deserializeBinary(bytes: Uint8Array): T },
  bytes: Uint8Array,
  code: ValidationCode,
  what: string,
): T {
  try {
    return type.deserializeBinary(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Refusal(code, `${what} cannot be read: ${reason}`);
  }
}

function readHeaders(payloadBytes: Uint8Array): Headers {
  const payload = parse(common.Payload, payloadBytes, CODES.BAD_PAYLOAD, 'the payload');
  const header = payload.getHeader();
  if (header === undefined) {
    throw new Refusal(CODES.BAD_COMMON_HEADER, 'the header is missing');
  }
  const code = CODES.BAD_COMMON_HEADER;
  const channel = parse(common.ChannelHeader, header.getChannelHeader_asU8(), code, 'the channel header');
  const signature = parse(common.SignatureHeader, header.getSignatureHeader_asU8(), code, 'the signature header');
  const isConfig = channel.getType() === TYPES.CONFIG;
  if (channel.getEpoch() !== 0) {
    throw new Refusal(code, `epoch ${String(channel.getEpoch())}`);
  }
  if (!isConfig && (signature.getNonce_asU8().length === 0 || signature.getCreator_asU8().length === 0)) {
    throw new Refusal(code, 'the signature header lacks nonce or creator');
  }
  return { payload, header, channel, signature };
}

function timestampMs(channel: common.ChannelHeader): number {
  const time = channel.getTimestamp();
  return time === undefined ? 0 : time.getSeconds() * 1_000 + Math.floor(time.getNanos() / 1e6);
}

function checkCreator(envelope: common.Envelope, headers: Headers, membership: Membership): Member {
  const creator = identify(membership, headers.signature.getCreator_asU8(), CODES.BAD_CREATOR_SIGNATURE);
  if (!membership.verify(creator, envelope.getPayload_asU8(), envelope.getSignature_asU8())) {
    throw new Refusal(CODES.BAD_CREATOR_SIGNATURE, `the signature of ${creator.subject} does not hold`);
  }
  return creator;
}

function identify(membership: Membership, bytes: Uint8Array, code: ValidationCode): Member {
  try {
    return membership.identify(bytes);
  } catch (error) {
    if (error instanceof MembershipError) {
      throw new Refusal(code, error.message);
    }
    throw error;
  }
}

function checkChannel(channel: common.ChannelHeader, channelId: string): void {
  if (channel.getChannelId() !== channelId) {
    throw new Refusal(CODES.TARGET_CHAIN_NOT_FOUND, `it was made for channel ${channel.getChannelId()}`);
  }
}

function checkTransactionId({ channel, signature }: Headers): void {
  const txId = sha256(signature.getNonce_asU8(), signature.getCreator_asU8()).toString('hex');
  if (channel.getTxId() !== txId) {
    throw new Refusal(CODES.BAD_PROPOSAL_TXID, `nonce and creator give ${txId}`);
  }
}

/** What endorsers signed, as its bytes came. */
interface ProposedAction {
  readonly responseBytes: Uint8Array;
  readonly response: peer.ProposalResponsePayload;
  readonly proposalBytes: Uint8Array;
  readonly endorsements: readonly peer.Endorsement[];
}

/** The single action of the transaction, made for the proposal that its endorsers saw. */
function readAction({ header, payload }: Headers): ProposedAction {
  const code = CODES.INVALID_ENDORSER_TRANSACTION;
  const actions = parse(peer.Transaction, payload.getData_asU8(), code, 'the transaction').getActionsList();
  const [action] = actions;
  if (action === undefined || actions.length !== 1) {
    throw new Refusal(code, `it holds ${String(actions.length)} actions`);
  }
  const actionHeader = parse(common.SignatureHeader, action.getHeader_asU8(), code, "the action's header");
  if (actionHeader.getNonce_asU8().length === 0 || actionHeader.getCreator_asU8().length === 0) {
    throw new Refusal(code, "the action's header lacks nonce or creator");
  }
  const body = parse(peer.ChaincodeActionPayload, action.getPayload_asU8(), code, "the action's payload");
  const endorsedAction = body.getAction();
  if (endorsedAction === undefined) {
    throw new Refusal(code, 'the endorsed action is missing');
  }
  const responseBytes = endorsedAction.getProposalResponsePayload_asU8();
  const response = parse(peer.ProposalResponsePayload, responseBytes, code, 'the proposal response');
  const proposalBytes = body.getChaincodeProposalPayload_asU8();
  const proposalHash = sha256(header.getChannelHeader_asU8(), action.getHeader_asU8(), proposalBytes);
  if (Buffer.compare(proposalHash, response.getProposalHash_asU8()) !== 0) {
    throw new Refusal(code, 'the endorsers signed another proposal');
  }
  return { responseBytes, response, proposalBytes, endorsements: endorsedAction.getEndorsementsList() };
}

function checkEndorsed(
  channel: common.ChannelHeader,
  { response, responseBytes, proposalBytes, endorsements }: ProposedAction,
  membership: Membership,
  rules: EndorsementRules,
): EndorsedTransaction {
  const result = readResult(channel, response, proposalBytes);
  const signed = endorsements.map((endorsement) => {
    const identity = endorsement.getEndorser_asU8();
    return { identity, message: Buffer.concat([responseBytes, identity]), signature: endorsement.getSignature_asU8() };
  });
  // Fabric's policies leave out what does not verify and count the rest.
  const endorsers = validSigners(signed, membership);
  const endorsedBy = [...new Set(endorsers.map(({ mspId }) => mspId))];
  for (const policy of requiredPolicies(result, rules)) {
    if (!policy.isSatisfiedBy(endorsers)) {
      const found = endorsedBy.length === 0 ? 'nobody' : endorsedBy.join(', ');
      throw new Refusal(
        CODES.ENDORSEMENT_POLICY_FAILURE,
        `endorsed by ${found}, which does not satisfy ${policy.name}`,
      );
    }
  }
  return { ...result, signaturesChecked: endorsements.length };
}

/**
 * The policies that must hold: of the invoked chaincode and of every other that is written to, each for its public
 * state, and for a collection that is written to the collection's own, where it has one (Fabric,
 * plugindispatcher/dispatcher.go and statebased/v20.go). Policies of single keys are not looked at.
 */
function requiredPolicies(
  { chaincode, sets }: Pick<EndorsedTransaction, 'chaincode' | 'sets'>,
  rules: EndorsementRules,
): PolicyRule[] {
  const required: PolicyRule[] = [];
  const written = sets.filter((set) => writesPublicly(set) || writtenCollections(set).length > 0);
  for (const name of new Set([chaincode, ...written.map(({ namespace }) => namespace)])) {
    const general = rules.ofChaincode(name);
    if (general === undefined) {
      throw new Refusal(CODES.INVALID_CHAINCODE, `the channel has no chaincode ${name}`);
    }
    const own = written.filter(({ namespace }) => namespace === name);
    const collections = own.flatMap(writtenCollections);
    for (const collection of collections) {
      const rule = rules.ofCollection(name, collection);
      if (rule === undefined) {
        throw new Refusal(CODES.ENDORSEMENT_POLICY_FAILURE, `${name} has no collection ${collection}`);
      }
      required.push(rule);
    }
    if (collections.length === 0 || own.some(writesPublicly)) {
      required.push(general);
    }
  }
  return required;
}

function writesPublicly({ publicSet }: NamespaceSets): boolean {
  return publicSet.getWritesList().length + publicSet.getMetadataWritesList().length > 0;
}

function writtenCollections({ collections }: NamespaceSets): string[] {
  return collections
    .filter(({ set }) => set.getHashedWritesList().length + set.getMetadataWritesList().length > 0)
    .map(({ name }) => name);
}

/** The result and the request, checked in the order of Fabric's dispatcher (core/committer/txvalidator/v20). */
function readResult(
  channel: common.ChannelHeader,
  response: peer.ProposalResponsePayload,
  proposalBytes: Uint8Array,
): Pick<EndorsedTransaction, 'chaincode' | 'args' | 'response' | 'sets'> {
  const code = CODES.BAD_RWSET;
  const extension = parse(
    peer.ChaincodeHeaderExtension,
    channel.getExtension_asU8(),
    CODES.BAD_HEADER_EXTENSION,
    'the header extension',
  );
  const action = parse(peer.ChaincodeAction, response.getExtension_asU8(), CODES.BAD_RESPONSE_PAYLOAD, 'the result');
  const rwset = parse(ledger.rwset.TxReadWriteSet, action.getResults_asU8(), code, 'the read/write set');
  const sets = rwset.getNsRwsetList().map((ns) => ({
    namespace: ns.getNamespace(),
    publicSet: parse(ledger.rwset.kvrwset.KVRWSet, ns.getRwset_asU8(), code, 'a read/write set'),
    collections: ns.getCollectionHashedRwsetList().map((collection) => ({
      name: collection.getCollectionName(),
      set: parse(ledger.rwset.kvrwset.HashedRWSet, collection.getHashedRwset_asU8(), code, 'a hashed set'),
    })),
  }));
  const chaincode = checkChaincode(extension.getChaincodeId(), action);
  if (new Set(sets.map(({ namespace }) => namespace)).size !== sets.length) {
    throw new Refusal(CODES.ILLEGAL_WRITESET, 'a namespace is written twice');
  }
  return {
    chaincode,
    args: argumentsOf(proposalBytes),
    response: action.getResponse()?.getPayload_asU8() ?? new Uint8Array(),
    sets,
  };
}

/** @returns the name of the chaincode that header, result and event agree on. */
function checkChaincode(invoked: peer.ChaincodeID | undefined, action: peer.ChaincodeAction): string {
  const executed = action.getChaincodeId();
  if (invoked === undefined || executed === undefined) {
    throw new Refusal(CODES.INVALID_OTHER_REASON, 'header or result names no chaincode');
  }
  const name = executed.getName();
  if (name === '' || name !== invoked.getName() || executed.getVersion() === '') {
    throw new Refusal(CODES.INVALID_CHAINCODE, `${invoked.getName()} was invoked, ${name} executed`);
  }
  const events = action.getEvents_asU8();
  if (events.length > 0) {
    const event = parse(peer.ChaincodeEvent, events, CODES.INVALID_OTHER_REASON, 'the event');
    if (event.getChaincodeId() !== name) {
      throw new Refusal(CODES.INVALID_OTHER_REASON, `its event is one of ${event.getChaincodeId()}`);
    }
  }
  return name;
}

/** Peers do not decode the request when they commit; where it cannot be read, the rules find nothing asked for. */
function argumentsOf(proposalBytes: Uint8Array): Uint8Array[] {
  try {
    const input = peer.ChaincodeProposalPayload.deserializeBinary(proposalBytes).getInput_asU8();
    const spec = peer.ChaincodeInvocationSpec.deserializeBinary(input).getChaincodeSpec();
    return spec?.getInput()?.getArgsList_asU8() ?? [];
  } catch {
    return [];
  }
}
