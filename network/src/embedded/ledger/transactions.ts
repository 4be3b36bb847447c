// SPDX-License-Identifier: Apache-2.0
import { common, peer, type ledger } from '@hyperledger/fabric-protos';
import { BLOCK_METADATA, getBlockMetadata } from '../protocol/block.js';
import { unpackEnvelope, unpackResults, unpackTransaction, type NamespaceSet } from '../protocol/transaction.js';
import type { Timestamp } from './state.js';

/** A key of the public state, or, with a collection, the base64 of a private key's hash. */
export interface StateKey {
  readonly namespace: string;
  /** Empty for public state. */
  readonly collection: string;
  readonly key: string;
}

/** One write to the world state, in a collection to its hashes. Without a value it deletes the key. */
export type StateWrite = StateKey &
  (
    | { readonly kind: 'value'; readonly value: Uint8Array | undefined; readonly isPurge?: boolean }
    /** Serialised `KVMetadataWrite` or `KVMetadataWriteHash`; empty removes what there is. */
    | { readonly kind: 'metadata'; readonly metadata: Uint8Array }
  );

/** The private writes that belong to a transaction, by their hash. */
export interface PrivateHash {
  readonly namespace: string;
  readonly collection: string;
  readonly hash: Uint8Array;
}

/** What a block's transaction does to the ledger. */
export interface CommittedTransaction {
  /** Empty where the transaction has none, or one that is not its own; it is then not indexed. */
  readonly id: string;
  readonly timestamp: Timestamp;
  /** `peer.TxValidationCode`. */
  readonly code: number;
  /** Empty unless the transaction is valid. */
  readonly writes: readonly StateWrite[];
  /** Empty unless the transaction is valid. */
  readonly privateHashes: readonly PrivateHash[];
}

/** Writes in a transaction's results, in their order. */
export function effectsOf(sets: readonly NamespaceSet[]): Pick<CommittedTransaction, 'writes' | 'privateHashes'> {
  const writes = sets.flatMap(({ namespace, rwset, collections }): StateWrite[] => [
    ...rwset.getWritesList().map((write) => {
      const value = write.getValue_asU8();
      const isDelete = write.getIsDelete() || value.length === 0;
      const key = { namespace, collection: '', key: write.getKey() };
      return { ...key, kind: 'value' as const, value: isDelete ? undefined : value };
    }),
    ...metadataWrites({ namespace, collection: '' }, rwset.getMetadataWritesList(), (write) => write.getKey()),
    ...collections.flatMap(({ name, rwset: hashed }) => [
      ...hashed.getHashedWritesList().map((write) => {
        const isDelete = write.getIsDelete() || write.getIsPurge() || write.getValueHash_asU8().length === 0;
        return {
          ...{ namespace, collection: name, key: write.getKeyHash_asB64() },
          kind: 'value' as const,
          value: isDelete ? undefined : write.getValueHash_asU8(),
          isPurge: write.getIsPurge(),
        };
      }),
      ...metadataWrites({ namespace, collection: name }, hashed.getMetadataWritesList(), (write) =>
        write.getKeyHash_asB64(),
      ),
    ]),
  ]);
  const privateHashes = sets.flatMap(({ namespace, collections }) =>
    collections
      .filter(({ privateHash }) => privateHash.length > 0)
      .map(({ name, privateHash }) => ({ namespace, collection: name, hash: privateHash })),
  );
  return { writes, privateHashes };
}

function metadataWrites<T extends ledger.rwset.kvrwset.KVMetadataWrite | ledger.rwset.kvrwset.KVMetadataWriteHash>(
  space: Omit<StateKey, 'key'>,
  writes: readonly T[],
  keyOf: (write: T) => string,
): StateWrite[] {
  return writes.map((write) => ({
    ...space,
    key: keyOf(write),
    kind: 'metadata',
    metadata: write.getEntriesList().length === 0 ? new Uint8Array() : write.serializeBinary(),
  }));
}

/** Transactions of a block that is already validated: the flags in its metadata are taken as they are. */
export function readTransactions(block: common.Block): CommittedTransaction[] {
  const flags = getBlockMetadata(block, BLOCK_METADATA.transactionsFilter);
  const envelopes = block.getData()?.getDataList_asU8() ?? [];
  return envelopes.map((bytes, index) => readTransaction(bytes, flags[index] ?? peer.TxValidationCode.NOT_VALIDATED));
}

function readTransaction(bytes: Uint8Array, code: number): CommittedTransaction {
  const nothing = { id: '', timestamp: { seconds: 0, nanos: 0 }, code, writes: [], privateHashes: [] };
  if (!isIndexed(code)) {
    return nothing;
  }
  const { channelHeader, payload } = unpackEnvelope(common.Envelope.deserializeBinary(bytes));
  const isEndorserTransaction = channelHeader.getType() === common.HeaderType.ENDORSER_TRANSACTION;
  const isValid = code === peer.TxValidationCode.VALID;
  return {
    id: channelHeader.getTxId(),
    timestamp: transactionTimestamp(channelHeader),
    code,
    ...effectsOf(
      isValid && isEndorserTransaction ? unpackResults(unpackTransaction(payload.getData_asU8()).results) : [],
    ),
  };
}

/** Time in a channel header. */
export function transactionTimestamp(header: common.ChannelHeader): Timestamp {
  const timestamp = header.getTimestamp();
  return { seconds: timestamp?.getSeconds() ?? 0, nanos: timestamp?.getNanos() ?? 0 };
}

/**
 * Whether a transaction with this code is found by its id. Not where its header cannot be trusted to name its own id:
 * nobody may occupy another's id.
 */
export function isIndexed(code: number): boolean {
  const codes = peer.TxValidationCode;
  return !(
    [
      codes.NIL_ENVELOPE,
      codes.BAD_PAYLOAD,
      codes.BAD_COMMON_HEADER,
      codes.BAD_CREATOR_SIGNATURE,
      codes.UNSUPPORTED_TX_PAYLOAD,
      codes.BAD_PROPOSAL_TXID,
      codes.DUPLICATE_TXID,
      codes.NOT_VALIDATED,
    ] as number[]
  ).includes(code);
}
