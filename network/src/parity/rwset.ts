// SPDX-License-Identifier: Apache-2.0
import { common, ledger, peer } from '@hyperledger/fabric-protos';
import type { Json } from './scenario.js';

const { KVRWSet, HashedRWSet } = ledger.rwset.kvrwset;

/** A transaction as it stands in a block. */
export interface BlockTransaction {
  readonly id: string;
  readonly code: number;
  /** Its results by namespace: which keys were read and found, which were written, and how. Versions are left out. */
  readonly results: Json;
  readonly endorsers: number;
}

/** The endorser transactions of a block. @throws Error where one does not decode. */
export function transactionsOf(block: common.Block): BlockTransaction[] {
  const metadata = block.getMetadata()?.getMetadataList_asU8() ?? [];
  const flags = metadata[common.BlockMetadataIndex.TRANSACTIONS_FILTER] ?? new Uint8Array();
  return (block.getData()?.getDataList_asU8() ?? []).flatMap((bytes, index) => {
    const payload = common.Payload.deserializeBinary(common.Envelope.deserializeBinary(bytes).getPayload_asU8());
    const header = common.ChannelHeader.deserializeBinary(payload.getHeader()?.getChannelHeader_asU8() ?? Buffer.of());
    if (header.getType() !== common.HeaderType.ENDORSER_TRANSACTION) {
      return [];
    }
    const action = endorsedAction(payload.getData_asU8());
    const response = peer.ProposalResponsePayload.deserializeBinary(action.getProposalResponsePayload_asU8());
    const chaincodeAction = peer.ChaincodeAction.deserializeBinary(response.getExtension_asU8());
    return [
      {
        id: header.getTxId(),
        code: flags[index] ?? peer.TxValidationCode.NOT_VALIDATED,
        results: resultsShape(chaincodeAction.getResults_asU8()),
        endorsers: action.getEndorsementsList().length,
      },
    ];
  });
}

function endorsedAction(transaction: Uint8Array): peer.ChaincodeEndorsedAction {
  const [action] = peer.Transaction.deserializeBinary(transaction).getActionsList();
  const payload = peer.ChaincodeActionPayload.deserializeBinary(action?.getPayload_asU8() ?? Buffer.of());
  return payload.getAction() ?? new peer.ChaincodeEndorsedAction();
}

function resultsShape(results: Uint8Array): Json {
  const sets = ledger.rwset.TxReadWriteSet.deserializeBinary(results).getNsRwsetList();
  return Object.fromEntries(
    sets.map((set) => {
      const rwset = KVRWSet.deserializeBinary(set.getRwset_asU8());
      const collections = set.getCollectionHashedRwsetList().map((hashed): [string, Json] => {
        return [hashed.getCollectionName(), hashedShape(HashedRWSet.deserializeBinary(hashed.getHashedRwset_asU8()))];
      });
      const shape = { ...publicShape(rwset), ...nonEmpty('collections', Object.fromEntries(collections)) };
      return [set.getNamespace(), shape];
    }),
  );
}

function publicShape(rwset: ledger.rwset.kvrwset.KVRWSet): Record<string, Json> {
  return {
    ...nonEmpty(
      'reads',
      rwset.getReadsList().map((read) => [read.getKey(), read.getVersion() === undefined ? 'absent' : 'found']),
    ),
    ...nonEmpty('ranges', rwset.getRangeQueriesInfoList().map(rangeShape)),
    ...nonEmpty(
      'writes',
      rwset
        .getWritesList()
        .map((write) =>
          write.getIsDelete() ? [write.getKey()] : [write.getKey(), Buffer.from(write.getValue_asU8()).toString()],
        ),
    ),
    ...nonEmpty(
      'metadataWrites',
      rwset
        .getMetadataWritesList()
        .map((write) => [write.getKey(), write.getEntriesList().map((one) => one.getName())]),
    ),
  };
}

function rangeShape(range: ledger.rwset.kvrwset.RangeQueryInfo): Json {
  const keys = range
    .getRawReads()
    ?.getKvReadsList()
    .map((read) => read.getKey());
  const merkle = range.getReadsMerkleHashes();
  return {
    start: range.getStartKey(),
    end: range.getEndKey(),
    exhausted: range.getItrExhausted(),
    ...(keys === undefined ? {} : { keys }),
    ...(merkle === undefined
      ? {}
      : {
          merkle: [merkle.getMaxDegree(), merkle.getMaxLevel(), merkle.getMaxLevelHashesList().length],
        }),
  };
}

/** Keys and values are hashes here: what is compared is how many there are, and of which kind. */
function hashedShape(rwset: ledger.rwset.kvrwset.HashedRWSet): Json {
  return {
    reads: rwset.getHashedReadsList().map((read) => (read.getVersion() === undefined ? 'absent' : 'found')),
    writes: rwset.getHashedWritesList().map((write) => {
      if (write.getIsPurge()) {
        return 'purge';
      }
      return write.getIsDelete() ? 'delete' : 'value';
    }),
    ...nonEmpty('metadataWrites', rwset.getMetadataWritesList().length),
  };
}

function nonEmpty(field: string, value: Json): Record<string, Json> {
  const isEmpty = value === 0 || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
  return isEmpty ? {} : { [field]: value };
}
