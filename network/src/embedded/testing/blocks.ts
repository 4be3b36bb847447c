// SPDX-License-Identifier: Apache-2.0
import { common, msp } from '@hyperledger/fabric-protos';
import { unpackEnvelope, unpackResults, unpackTransaction, type NamespaceSet } from '../protocol/transaction.js';
import type { NetworkHarness } from './harness.js';

/** The last block, and the read/write sets of its first transaction. */
export async function lastResults(harness: NetworkHarness): Promise<{ block: common.Block; sets: NamespaceSet[] }> {
  const startBlock = BigInt(harness.network.height() - 1);
  const events = await harness.client().network.getBlockEvents({ startBlock });
  try {
    for await (const block of events) {
      return { block, sets: unpackResults(firstAction(block).results) };
    }
    throw new Error('no block was delivered');
  } finally {
    events.close();
  }
}

/** Organisations that endorsed a block's first transaction. */
export function endorsersOf(block: common.Block): string[] {
  const endorsers = firstAction(block).endorsements.map((endorsement) => endorsement.getEndorser_asU8());
  return endorsers.map((bytes) => msp.SerializedIdentity.deserializeBinary(bytes).getMspid()).sort();
}

function firstAction(block: common.Block): ReturnType<typeof unpackTransaction> {
  const [bytes] = block.getData()?.getDataList_asU8() ?? [];
  const { payload } = unpackEnvelope(common.Envelope.deserializeBinary(bytes ?? new Uint8Array()));
  return unpackTransaction(payload.getData_asU8());
}
