// SPDX-License-Identifier: Apache-2.0
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { common, peer } from '@hyperledger/fabric-protos';
import type { Ledger } from '../ledger/ledger.js';
import type { ChaincodeDefinition, Collections } from '../chaincode/collections.js';
import { hashSpace } from '../ledger/keys.js';
import type { StateReader } from '../ledger/state.js';
import { effectsOf, isIndexed, transactionTimestamp, type CommittedTransaction } from '../ledger/transactions.js';
import { BlockUpdates } from '../ledger/updates.js';
import { computeTransactionId, proposalHash } from '../protocol/proposal.js';
import {
  unpackEnvelope,
  unpackResults,
  unpackTransaction,
  type NamespaceSet,
  type TransactionAction,
} from '../protocol/transaction.js';
import { MspError, type Identity, type MembershipVerifier } from '../types.js';
import { EndorsementChecker } from './endorsements.js';
import { ReadSetValidator } from './mvcc.js';

const CODE = peer.TxValidationCode;
/** After this many transactions others get their turn on the processor. */
const YIELD_EVERY = 32;

interface CheckedTransaction {
  readonly id: string;
  readonly timestamp: CommittedTransaction['timestamp'];
  readonly code: number;
  readonly sets: readonly NamespaceSet[];
}

/** What a block's transactions come to. */
export interface BlockValidation {
  /** TRANSACTIONS_FILTER: one `peer.TxValidationCode` a transaction. */
  readonly flags: Uint8Array;
  readonly transactions: readonly CommittedTransaction[];
}

/** Decides which transactions of a block are valid, as a committing peer does. */
export class BlockValidator {
  readonly #channel: string;
  readonly #chaincode: ChaincodeDefinition;
  readonly #collections: Collections;
  readonly #msp: MembershipVerifier;
  readonly #ledger: Ledger;

  constructor(
    channel: string,
    chaincode: ChaincodeDefinition,
    collections: Collections,
    msp: MembershipVerifier,
    ledger: Ledger,
  ) {
    this.#channel = channel;
    this.#chaincode = chaincode;
    this.#collections = collections;
    this.#msp = msp;
    this.#ledger = ledger;
  }

  /** Checks form, signatures, endorsements and duplicates of each transaction, then what each has read. */
  async validate(blockNumber: number, envelopes: readonly Uint8Array[]): Promise<BlockValidation> {
    const state = this.#ledger.snapshot();
    try {
      const checker = new EndorsementChecker(this.#chaincode, this.#collections, state);
      const checked: CheckedTransaction[] = [];
      const ids = new Set<string>();
      for (const [index, bytes] of envelopes.entries()) {
        if (index % YIELD_EVERY === YIELD_EVERY - 1) {
          await yieldToOthers();
        }
        const transaction = this.#check(bytes, checker);
        const isRepeated = transaction.code === CODE.VALID && ids.has(transaction.id);
        checked.push(isRepeated ? { ...transaction, code: CODE.DUPLICATE_TXID } : transaction);
        if (transaction.code === CODE.VALID) {
          ids.add(transaction.id);
        }
      }
      const transactions = await this.#checkReads(blockNumber, checked, state);
      return { flags: Uint8Array.from(transactions, ({ code }) => code), transactions };
    } finally {
      await state.close();
    }
  }

  async #checkReads(
    blockNumber: number,
    checked: readonly CheckedTransaction[],
    state: StateReader,
  ): Promise<CommittedTransaction[]> {
    const updates = new BlockUpdates(
      ({ namespace, collection, key }) => state.get(hashSpace(namespace, collection), key)?.value,
    );
    const validator = new ReadSetValidator(state, updates);
    const transactions: CommittedTransaction[] = [];
    for (const [transaction, { id, timestamp, code, sets }] of checked.entries()) {
      let result = code;
      for (const set of sets) {
        if (result === CODE.VALID) {
          result = await validator.check(set);
        }
      }
      const effects = effectsOf(result === CODE.VALID ? sets : []);
      updates.write(effects.writes, { block: blockNumber, transaction });
      transactions.push({ id: isIndexed(result) ? id : '', timestamp, code: result, ...effects });
    }
    return transactions;
  }

  #check(bytes: Uint8Array, checker: EndorsementChecker): CheckedTransaction {
    const invalid = (code: number): CheckedTransaction => ({
      id: '',
      timestamp: { seconds: 0, nanos: 0 },
      code,
      sets: [],
    });
    let envelope: common.Envelope;
    let unpacked: ReturnType<typeof unpackEnvelope>;
    try {
      envelope = common.Envelope.deserializeBinary(bytes);
      unpacked = unpackEnvelope(envelope);
    } catch {
      return invalid(CODE.BAD_PAYLOAD);
    }
    const { channelHeader, signatureHeader, header, payload } = unpacked;
    const creator = signatureHeader.getCreator_asU8();
    const nonce = signatureHeader.getNonce_asU8();
    if (nonce.length === 0 || creator.length === 0 || channelHeader.getEpoch() !== 0) {
      return invalid(CODE.BAD_COMMON_HEADER);
    }
    if (!this.#isSigned(creator, envelope.getPayload_asU8(), envelope.getSignature_asU8())) {
      return invalid(CODE.BAD_CREATOR_SIGNATURE);
    }
    if (channelHeader.getType() !== common.HeaderType.ENDORSER_TRANSACTION) {
      return invalid(CODE.UNSUPPORTED_TX_PAYLOAD);
    }
    if (channelHeader.getTxId() !== computeTransactionId(nonce, creator)) {
      return invalid(CODE.BAD_PROPOSAL_TXID);
    }
    const result = (code: number, sets: CheckedTransaction['sets'] = []): CheckedTransaction => ({
      id: channelHeader.getTxId(),
      timestamp: transactionTimestamp(channelHeader),
      code,
      sets,
    });
    let action: TransactionAction;
    try {
      action = unpackTransaction(payload.getData_asU8());
      requireSignatureHeader(action.signatureHeader);
    } catch {
      return result(CODE.INVALID_ENDORSER_TRANSACTION);
    }
    const hash = proposalHash(header.getChannelHeader_asU8(), action.signatureHeader, action.proposalPayload);
    if (!hash.equals(action.proposalHash)) {
      return result(CODE.INVALID_ENDORSER_TRANSACTION);
    }
    if (channelHeader.getChannelId() !== this.#channel) {
      return result(CODE.TARGET_CHAIN_NOT_FOUND);
    }
    if (this.#ledger.transaction(channelHeader.getTxId()) !== undefined) {
      return result(CODE.DUPLICATE_TXID);
    }
    return this.#checkAction(channelHeader, action, checker, result);
  }

  #checkAction(
    channelHeader: common.ChannelHeader,
    action: TransactionAction,
    checker: EndorsementChecker,
    result: (code: number, sets?: CheckedTransaction['sets']) => CheckedTransaction,
  ): CheckedTransaction {
    const sets = readAction(channelHeader, action);
    if (typeof sets === 'number') {
      return result(sets);
    }
    if (new Set(sets.map(({ namespace }) => namespace)).size !== sets.length) {
      return result(CODE.ILLEGAL_WRITESET);
    }
    if (!checker.isEndorsed(this.#endorsers(action), sets)) {
      return result(CODE.ENDORSEMENT_POLICY_FAILURE);
    }
    // What no peer of this network endorses comes after the endorsements: an auditor need not know this network's limits.
    const writesElsewhere = sets.some((set) => set.namespace !== this.#chaincode.name && isWritten(set));
    if (action.chaincodeName !== this.#chaincode.name || writesElsewhere) {
      return result(CODE.INVALID_CHAINCODE);
    }
    checker.noteMetadataWrites(sets);
    return result(CODE.VALID, sets);
  }

  /** Who has signed the results. */
  #endorsers(action: TransactionAction): Identity[] {
    const endorsers = new Map<string, Identity>();
    for (const endorsement of action.endorsements) {
      const endorser = endorsement.getEndorser_asU8();
      const message = Buffer.concat([action.responsePayload, endorser]);
      const identity = this.#signer(endorser, message, endorsement.getSignature_asU8());
      if (identity !== undefined) {
        endorsers.set(`${identity.mspId} ${identity.certificatePem}`, identity);
      }
    }
    return [...endorsers.values()];
  }

  #isSigned(identity: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return this.#signer(identity, message, signature) !== undefined;
  }

  #signer(
    serialized: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): ReturnType<MembershipVerifier['identify']> | undefined {
    try {
      // Expiry and revocation were judged at admission: an auditor could not tell what the clock said at commit.
      const identity = this.#msp.identifyAtAnyTime(serialized);
      this.#msp.verify(identity, message, signature);
      return identity;
    } catch (error) {
      if (error instanceof MspError) {
        return undefined;
      }
      throw error;
    }
  }
}

function isWritten({ rwset, collections }: NamespaceSet): boolean {
  return (
    rwset.getWritesList().length > 0 ||
    rwset.getMetadataWritesList().length > 0 ||
    collections.some(({ privateHash }) => privateHash.length > 0)
  );
}

/** @throws Error where the header of a proposal has no nonce or no creator. */
function requireSignatureHeader(bytes: Uint8Array): void {
  const header = common.SignatureHeader.deserializeBinary(bytes);
  if (header.getNonce_asU8().length === 0 || header.getCreator_asU8().length === 0) {
    throw new Error('the signature header lacks nonce or creator');
  }
}

/** What a chaincode did, or the code of the first thing wrong with it, in the order of Fabric's dispatcher. */
function readAction(header: common.ChannelHeader, action: TransactionAction): CheckedTransaction['sets'] | number {
  let invoked: peer.ChaincodeID | undefined;
  try {
    invoked = peer.ChaincodeHeaderExtension.deserializeBinary(header.getExtension_asU8()).getChaincodeId();
  } catch {
    return CODE.BAD_HEADER_EXTENSION;
  }
  if (action.unreadable === 'action') {
    return CODE.BAD_RESPONSE_PAYLOAD;
  }
  let sets: CheckedTransaction['sets'];
  try {
    sets = unpackResults(action.results);
  } catch {
    return CODE.BAD_RWSET;
  }
  const { chaincodeName, chaincodeVersion, event } = action;
  if (invoked === undefined || chaincodeName === undefined) {
    return CODE.INVALID_OTHER_REASON;
  }
  if (chaincodeName === '' || chaincodeName !== invoked.getName() || chaincodeVersion === '') {
    return CODE.INVALID_CHAINCODE;
  }
  if (action.unreadable === 'event' || (event !== undefined && event.getChaincodeId() !== chaincodeName)) {
    return CODE.INVALID_OTHER_REASON;
  }
  return sets;
}
