// SPDX-License-Identifier: Apache-2.0
import { common, peer } from '@hyperledger/fabric-protos';
import { BLOCK_METADATA, getBlockMetadata } from '../protocol/block.js';
import { unpackEnvelope, unpackResults, unpackTransaction } from '../protocol/transaction.js';
import type { Timestamp } from './state.js';

/** One write to the world state; without a value it deletes the key. */
export interface StateWrite {
  readonly namespace: string;
  readonly key: string;
  readonly value: Uint8Array | undefined;
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
}

/** Writes in a transaction's results, in their order. */
export function stateWrites(sets: ReturnType<typeof unpackResults>): StateWrite[] {
  return sets.flatMap(({ namespace, rwset }) =>
    rwset.getWritesList().map((write) => {
      const value = write.getValue_asU8();
      const isDelete = write.getIsDelete() || value.length === 0;
      return { namespace, key: write.getKey(), value: isDelete ? undefined : value };
    }),
  );
}

/** Transactions of a block that is already validated: the flags in its metadata are taken as they are. */
export function readTransactions(block: common.Block): CommittedTransaction[] {
  const flags = getBlockMetadata(block, BLOCK_METADATA.transactionsFilter);
  const envelopes = block.getData()?.getDataList_asU8() ?? [];
  return envelopes.map((bytes, index) => readTransaction(bytes, flags[index] ?? peer.TxValidationCode.NOT_VALIDATED));
}

function readTransaction(bytes: Uint8Array, code: number): CommittedTransaction {
  const nothing = { id: '', timestamp: { seconds: 0, nanos: 0 }, code, writes: [] };
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
    writes:
      isValid && isEndorserTransaction
        ? stateWrites(unpackResults(unpackTransaction(payload.getData_asU8()).results))
        : [],
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
