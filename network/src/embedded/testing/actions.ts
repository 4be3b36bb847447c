// SPDX-License-Identifier: Apache-2.0
import { ledger, type peer } from '@hyperledger/fabric-protos';
import type { ProposalOptions } from '@hyperledger/fabric-gateway';
import type { NetworkHarness } from './harness.js';

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** What the tests ask of a network; clients are named by position of their organisation: 0 is AMSP. */
export function actionsOn(harness: NetworkHarness) {
  const submit = async (name: string, args: string[], options: ProposalOptions = {}, client = 0): Promise<number> => {
    const proposal = harness.client(client).contract.newProposal(name, { ...options, arguments: args });
    return (await (await (await proposal.endorse()).submit()).getStatus()).code;
  };
  return {
    submit,
    put: (collection: string, key: string, value: string, options: ProposalOptions = {}): Promise<number> =>
      submit('putPrivate', [collection, key], { transientData: { value }, ...options }),
    /** Evaluated by a client on the peer of an organisation; by default the client's own. */
    ask: async (name: string, args: string[], client = 0, on?: string): Promise<string> => {
      const options = on === undefined ? {} : { endorsingOrganizations: [on] };
      return decode(await harness.client(client).contract.evaluate(name, { arguments: args, ...options }));
    },
    advance: async (blocks: number): Promise<void> => {
      for (let block = 0; block < blocks; block += 1) {
        await submit('put', ['advance', String(harness.network.height())]);
      }
    },
    /** Private writes of a block that a client of one organisation's gateway is shown, as `key=value`. */
    shown: async (block: number, client = 0): Promise<string[]> => {
      const events = await harness.client(client).network.getBlockAndPrivateDataEvents({ startBlock: BigInt(block) });
      try {
        for await (const event of events) {
          return privateWrites(event);
        }
        return [];
      } finally {
        events.close();
      }
    },
  };
}

/** Private writes delivered with a block, as `key=value`. */
export function privateWrites(event: peer.BlockAndPrivateData): string[] {
  const found: string[] = [];
  event.getPrivateDataMapMap().forEach((transaction: ledger.rwset.TxPvtReadWriteSet) => {
    for (const set of transaction.getNsPvtRwsetList().flatMap((one) => one.getCollectionPvtRwsetList())) {
      const writes = ledger.rwset.kvrwset.KVRWSet.deserializeBinary(set.getRwset_asU8()).getWritesList();
      found.push(...writes.map((write) => `${write.getKey()}=${decode(write.getValue_asU8())}`));
    }
  });
  return found;
}
