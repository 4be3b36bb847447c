// SPDX-License-Identifier: Apache-2.0
import { common, peer } from '@hyperledger/fabric-protos';
import { checkpointers, type CloseableAsyncIterable } from '@hyperledger/fabric-gateway';
import { answer, commit, eventShape, firstBlock, firstEvents, take } from '../observe.js';
import { scenarios, PARITY_CHAINCODE, type Json, type ScenarioContext } from '../scenario.js';

/** Events of chaincodes and blocks, from where and to where they are asked for. */
export const eventScenarios = scenarios('events', {
  'chaincode events arrive once, live and again from a block on': async (context) => {
    const client = context.client();
    const live = await client.network.getChaincodeEvents(PARITY_CHAINCODE);
    const first = await emit(context, context.key('first'));
    await emit(context, context.key('second'));
    const replay = await client.network.getChaincodeEvents(PARITY_CHAINCODE, { startBlock: first.blockNumber });
    return {
      live: (await take(live, 2)).map((event) => eventShape(context, event)),
      replayed: (await take(replay, 2)).map((event) => eventShape(context, event)),
    };
  },

  'a checkpoint continues after the transaction that it holds': async (context) => {
    const client = context.client();
    const checkpoint = checkpointers.inMemory();
    const first = await emit(context, context.key('first'));
    await emit(context, context.key('second'));
    await emit(context, context.key('third'));
    const options = { startBlock: first.blockNumber, checkpoint };
    const [seen] = await take(await client.network.getChaincodeEvents(PARITY_CHAINCODE, options), 1);
    if (seen !== undefined) {
      await checkpoint.checkpointChaincodeEvent(seen);
    }
    const rest = await take(await client.network.getChaincodeEvents(PARITY_CHAINCODE, options), 2);
    return {
      seen: seen === undefined ? null : eventShape(context, seen),
      rest: rest.map((event) => eventShape(context, event)),
    };
  },

  'an invalid transaction emits nothing': async (context) => {
    const client = context.client();
    const live = await client.network.getChaincodeEvents(PARITY_CHAINCODE);
    const lacking = await client.contract.submitAsync('event', {
      arguments: [context.key('invalid'), 'payload'],
      endorsingOrganizations: ['Org1MSP'],
    });
    const { successful } = await lacking.getStatus();
    await emit(context, context.key('valid'));
    return { successful, events: (await take(live, 1)).map((event) => eventShape(context, event)) };
  },

  'blocks are delivered whole, filtered and with private data': async (context) => {
    const { network } = context.client();
    const { blockNumber, transactionId } = await emit(context, context.key());
    return {
      block: await answer(context, firstOf(network.getBlockEvents({ startBlock: blockNumber }), blockShape)),
      filtered: await answer(
        context,
        firstOf(network.getFilteredBlockEvents({ startBlock: blockNumber }), (block) =>
          filteredShape(block, transactionId),
        ),
      ),
      withPrivateData: await answer(
        context,
        firstOf(network.getBlockAndPrivateDataEvents({ startBlock: blockNumber }), (block) =>
          block.getPrivateDataMapMap().getLength(),
        ),
      ),
    };
  },

  'the genesis block is a configuration': async (context) => {
    const { network } = context.client();
    return {
      block: await answer(context, firstOf(network.getBlockEvents({ startBlock: 0n }), blockShape)),
      filtered: await answer(
        context,
        firstOf(network.getFilteredBlockEvents({ startBlock: 0n }), (block) =>
          block.getFilteredTransactionsList().map((one) => [one.getType(), one.getTxValidationCode()]),
        ),
      ),
    };
  },

  'a channel that is not there': async (context) => {
    const elsewhere = context.client().gateway.getNetwork('nowhere');
    return {
      chaincodeEvents: await answer(context, firstEvents(context, elsewhere)),
      blockEvents: await answer(context, firstBlock(elsewhere)),
    };
  },
});

async function firstOf<T>(events: Promise<CloseableAsyncIterable<T>>, shape: (event: T) => Json): Promise<Json> {
  const [first] = await take(await events, 1);
  return first === undefined ? 'none' : shape(first);
}

interface Emitted {
  readonly transactionId: string;
  readonly blockNumber: bigint;
}

function emit(context: ScenarioContext, name: string): Promise<Emitted> {
  return commit(context, context.client().contract, 'event', name, 'payload');
}

/** Which metadata a block has, and what kinds of transactions; where the last configuration is depends on the past. */
function blockShape(block: common.Block): Json {
  const metadata = block.getMetadata()?.getMetadataList_asU8() ?? [];
  const filled = Object.entries<number>({ ...common.BlockMetadataIndex })
    .filter(([name, index]) => name !== 'LAST_CONFIG' && (metadata[index]?.length ?? 0) > 0)
    .map(([name]) => name);
  const types = (block.getData()?.getDataList_asU8() ?? []).map((bytes) => {
    const payload = common.Payload.deserializeBinary(common.Envelope.deserializeBinary(bytes).getPayload_asU8());
    const header = payload.getHeader()?.getChannelHeader_asU8() ?? Buffer.of();
    return common.ChannelHeader.deserializeBinary(header).getType();
  });
  return { metadata: filled.sort(), slots: metadata.length, types: [...new Set(types)] };
}

function filteredShape(block: peer.FilteredBlock, transactionId: string): Json {
  return block
    .getFilteredTransactionsList()
    .filter((one) => one.getTxid() === transactionId)
    .map((one) => ({
      type: one.getType(),
      code: one.getTxValidationCode(),
      events: (one.getTransactionActions()?.getChaincodeActionsList() ?? []).map((action) => {
        const event = action.getChaincodeEvent();
        const payload = Buffer.from(event?.getPayload_asU8() ?? []).toString();
        return [event?.getChaincodeId() ?? '', event?.getEventName() ?? '', payload];
      }),
    }));
}
