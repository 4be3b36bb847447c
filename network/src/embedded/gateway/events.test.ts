// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointers, type ChaincodeEvent, type CloseableAsyncIterable } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import { useNetwork } from '../testing/harness.js';

async function take<T>(events: CloseableAsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  try {
    for await (const event of events) {
      taken.push(event);
      if (taken.length === count) {
        break;
      }
    }
  } finally {
    events.close();
  }
  return taken;
}

const told = (event: ChaincodeEvent): string => `${event.eventName} ${Buffer.from(event.payload).toString()}`;

describe('Chaincode events', function () {
  this.timeout(60_000);
  const harness = useNetwork();
  const emit = (name: string, payload: string): Promise<Uint8Array> =>
    harness.client().contract.submitTransaction('event', name, payload);

  it('come as transactions are committed', async () => {
    const events = await harness.client(1).network.getChaincodeEvents('testcc');
    const taken = take(events, 2);
    await emit('first', '1');
    await emit('second', '2');
    expect((await taken).map(told)).to.deep.equal(['first 1', 'second 2']);
  });

  it('come again from a block on', async () => {
    const startBlock = BigInt(harness.network.height());
    await emit('replayed', '1');
    await harness.client().contract.submitTransaction('put', 'between', 'x');
    await emit('replayed', '2');
    const network = harness.client(2).network;
    const [first, second] = await take(await network.getChaincodeEvents('testcc', { startBlock }), 2);
    expect([first!, second!].map(told)).to.deep.equal(['replayed 1', 'replayed 2']);
    expect(first!.blockNumber).to.equal(startBlock);
    expect(first!.chaincodeName).to.equal('testcc');
  });

  it('go on after the last transaction that a checkpoint holds, within its block', async () => {
    const startBlock = BigInt(harness.network.height());
    await Promise.all(['a', 'b', 'c', 'd'].map((payload) => emit('batch', payload)));
    const network = harness.client().network;
    const all = await take(await network.getChaincodeEvents('testcc', { startBlock }), 4);
    const checkpoint = checkpointers.inMemory();
    await checkpoint.checkpointChaincodeEvent(all[1]!);
    const rest = await take(await network.getChaincodeEvents('testcc', { checkpoint }), 2);
    expect(rest.map(told)).to.deep.equal(all.slice(2).map(told));
  });

  it('go on from a checkpoint in a file, which the next client takes up', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'checkpoint-'));
    try {
      const startBlock = BigInt(harness.network.height());
      await emit('filed', '1');
      await emit('filed', '2');
      const file = join(folder, 'checkpoint.json');
      const first = await checkpointers.file(file);
      for (const event of await take(
        await harness.client().network.getChaincodeEvents('testcc', { startBlock, checkpoint: first }),
        1,
      )) {
        await first.checkpointChaincodeEvent(event);
      }
      const checkpoint = await checkpointers.file(file);
      const [next] = await take(await harness.client(1).network.getChaincodeEvents('testcc', { checkpoint }), 1);
      expect(told(next!)).to.equal('filed 2');
      await checkpoint.checkpointBlock(next!.blockNumber);
      const waiting = take(await harness.client(2).network.getChaincodeEvents('testcc', { checkpoint }), 1);
      await emit('filed', '3');
      expect((await waiting).map(told)).to.deep.equal(['filed 3']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('do not come from transactions that are not valid', async () => {
    const startBlock = BigInt(harness.network.height());
    const { contract, network } = harness.client();
    const proposal = contract.newProposal('event', {
      arguments: ['invalid', 'x'],
      endorsingOrganizations: ['AMSP'],
    });
    const status = await (await (await proposal.endorse()).submit()).getStatus();
    expect(status.successful).to.equal(false);
    await emit('valid', 'y');
    const [event] = await take(await network.getChaincodeEvents('testcc', { startBlock }), 1);
    expect(told(event!)).to.equal('valid y');
  });
});
