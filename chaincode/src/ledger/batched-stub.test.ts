// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { ChaincodeStub } from 'fabric-shim-api';
import * as peer from '@hyperledger/fabric-protos/lib/peer/chaincode_shim_pb';
import { BatchedStub } from './batched-stub';
import { Collected } from './collected';

const TYPE = peer.ChaincodeMessage.Type;

/** A stub of fabric-shim whose peer answers from a map and keeps what it was sent. */
function shimStub(state: Map<string, string>) {
  const messages: number[] = [];
  const handler = {
    _askPeerAndListen: (message: peer.ChaincodeMessage): Promise<Uint8Array> => {
      messages.push(message.getType());
      expect([message.getTxid(), message.getChannelId()]).to.deep.equal(['tx', 'channel']);
      if (message.getType() === TYPE.GET_STATE_MULTIPLE) {
        const keys = peer.GetStateMultiple.deserializeBinary(message.getPayload_asU8()).getKeysList();
        const result = new peer.GetStateMultipleResult();
        keys.forEach((key) => result.addValues(Buffer.from(state.get(key) ?? '')));
        return Promise.resolve(result.serializeBinary());
      }
      for (const record of peer.WriteBatchState.deserializeBinary(message.getPayload_asU8()).getRecList()) {
        if (record.getType() === peer.WriteRecord.Type.DEL_STATE) {
          state.delete(record.getKey());
        } else {
          state.set(record.getKey(), Buffer.from(record.getValue_asU8()).toString());
        }
      }
      return Promise.resolve(new Uint8Array());
    },
  };
  const stub = {
    handler,
    getTxID: () => 'tx',
    getChannelID: () => 'channel',
    getState: (key: string) => Promise.resolve(Buffer.from(state.get(key) ?? '')),
  };
  return { stub: new BatchedStub(stub as unknown as ChaincodeStub), messages };
}

const texts = (values: readonly Uint8Array[]): string[] => values.map((value) => Buffer.from(value).toString());

describe('Reading and writing many keys', () => {
  it('takes one message for many keys, and gives each key its own value in order', async () => {
    const { stub, messages } = shimStub(
      new Map([
        ['a', '1'],
        ['c', '3'],
      ]),
    );
    expect(texts(await stub.read(['c', 'b', 'a']))).to.deep.equal(['3', '', '1']);
    expect(messages).to.deep.equal([TYPE.GET_STATE_MULTIPLE]);
  });

  it('keeps within what a peer takes in one message', async () => {
    const keys = Array.from({ length: 1_001 }, (_, index) => `k${index}`);
    const { stub, messages } = shimStub(new Map(keys.map((key) => [key, key])));
    expect(texts(await stub.read(keys))).to.deep.equal(keys);
    expect(messages).to.have.length(3);
  });

  it('writes and deletes in one message', async () => {
    const state = new Map([['a', '1']]);
    const { stub, messages } = shimStub(state);
    await stub.write([
      { key: 'a', value: undefined },
      { key: 'b', value: Buffer.from('2') },
    ]);
    expect([...state]).to.deep.equal([['b', '2']]);
    expect(messages).to.deep.equal([TYPE.WRITE_BATCH_STATE]);
  });

  it('asks the stub itself for a single key', async () => {
    const { stub, messages } = shimStub(new Map([['a', '1']]));
    expect(texts(await stub.read(['a']))).to.deep.equal(['1']);
    expect(messages).to.deep.equal([]);
  });
});

describe('What is asked for without waiting', () => {
  it('goes out together and comes back apart', async () => {
    const asked: (readonly number[])[] = [];
    const doubled = new Collected<number, number>((items) => {
      asked.push(items);
      return Promise.resolve(items.map((item) => 2 * item));
    });
    expect(await Promise.all([doubled.add(1), Promise.resolve().then(() => doubled.add(2))])).to.deep.equal([2, 4]);
    expect(await doubled.add(3)).to.equal(6);
    expect(asked).to.deep.equal([[1, 2], [3]]);
  });

  it('fails together', async () => {
    const failing = new Collected<number, number>(() => Promise.reject(new Error('no answer')));
    const results = await Promise.allSettled([failing.add(1), failing.add(2)]);
    expect(results.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
  });
});
