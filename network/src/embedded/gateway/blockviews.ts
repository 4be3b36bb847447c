// SPDX-License-Identifier: Apache-2.0
import { common, ledger, peer } from '@hyperledger/fabric-protos';
import { readTransactions } from '../ledger/transactions.js';
import { BLOCK_METADATA, getBlockMetadata, required } from '../protocol/block.js';
import { unpackEnvelope, unpackTransaction } from '../protocol/transaction.js';
import type { Channel } from './endorsement.js';

/** A block as a client of Deliver sees it. */
export type BlockView = (block: common.Block, identity: Uint8Array) => peer.DeliverResponse;

/** `Deliver`. */
export const wholeBlock: BlockView = (block) => {
  const response = new peer.DeliverResponse();
  response.setBlock(block);
  return response;
};

/** `DeliverFiltered`: which transactions, how they were judged, and the names of their events. */
export const filteredBlock: BlockView = (block) => {
  const filtered = new peer.FilteredBlock();
  filtered.setNumber(required(block.getHeader(), 'block header').getNumber());
  const flags = getBlockMetadata(block, BLOCK_METADATA.transactionsFilter);
  for (const [index, bytes] of (block.getData()?.getDataList_asU8() ?? []).entries()) {
    try {
      const { channelHeader, payload } = unpackEnvelope(common.Envelope.deserializeBinary(bytes));
      const transaction = new peer.FilteredTransaction();
      filtered.setChannelId(channelHeader.getChannelId());
      transaction.setTxid(channelHeader.getTxId());
      transaction.setType(channelHeader.getType() as common.HeaderTypeMap[keyof common.HeaderTypeMap]);
      transaction.setTxValidationCode((flags[index] ?? peer.TxValidationCode.NOT_VALIDATED) as ValidationCode);
      if (channelHeader.getType() === common.HeaderType.ENDORSER_TRANSACTION) {
        transaction.setTransactionActions(filteredActions(payload.getData_asU8()));
      }
      filtered.addFilteredTransactions(transaction);
    } catch {
      continue; // An envelope that cannot be read was judged so, and has nothing to show.
    }
  }
  const response = new peer.DeliverResponse();
  response.setFilteredBlock(filtered);
  return response;
};

type ValidationCode = peer.TxValidationCodeMap[keyof peer.TxValidationCodeMap];

function filteredActions(data: Uint8Array): peer.FilteredTransactionActions {
  const actions = new peer.FilteredTransactionActions();
  const { event } = unpackTransaction(data);
  if (event !== undefined && event.getChaincodeId() !== '') {
    const shown = new peer.ChaincodeEvent();
    shown.setTxId(event.getTxId());
    shown.setChaincodeId(event.getChaincodeId());
    shown.setEventName(event.getEventName());
    const action = new peer.FilteredChaincodeAction();
    action.setChaincodeEvent(shown);
    actions.addChaincodeActions(action);
  }
  return actions;
}

/** `DeliverWithPrivateData`: with what one organisation's peer keeps and the client, as a member, may see. */
export function blockAndPrivateData(channel: Channel, mspId: string): BlockView {
  const { ledger: chain, collections, access } = channel;
  return (block, identity) => {
    const number = required(block.getHeader(), 'block header').getNumber();
    const view = new peer.BlockAndPrivateData();
    view.setBlock(block);
    for (const [transaction, { privateHashes }] of readTransactions(block).entries()) {
      const namespaces = new Map<string, ledger.rwset.NsPvtReadWriteSet>();
      for (const wanted of privateHashes) {
        const policy = collections.find(wanted.namespace, wanted.collection)?.policy;
        const isMember = policy !== undefined && access.isIn(policy, identity);
        const version = { block: number, transaction };
        const rwset = isMember ? chain.privateData.read(mspId, version, wanted, chain.height) : undefined;
        if (rwset !== undefined) {
          const set = new ledger.rwset.CollectionPvtReadWriteSet();
          set.setCollectionName(wanted.collection);
          set.setRwset(rwset);
          const namespaceSet = namespaces.get(wanted.namespace) ?? new ledger.rwset.NsPvtReadWriteSet();
          namespaceSet.setNamespace(wanted.namespace);
          namespaceSet.addCollectionPvtRwset(set);
          namespaces.set(wanted.namespace, namespaceSet);
        }
      }
      if (namespaces.size > 0) {
        const sets = new ledger.rwset.TxPvtReadWriteSet();
        sets.setNsPvtRwsetList([...namespaces.values()]);
        view.getPrivateDataMapMap().set(transaction, sets);
      }
    }
    const response = new peer.DeliverResponse();
    response.setBlockAndPrivateData(view);
    return response;
  };
}
