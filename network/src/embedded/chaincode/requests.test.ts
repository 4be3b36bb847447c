// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import type { TransactionSimulator } from '../simulation/simulator.js';
import { handleStateRequest } from './requests.js';

const MESSAGE = peer.ChaincodeMessage.Type;
const WRITE = peer.WriteRecord.Type;

/** Stands in for a simulation; keeps what it was asked. */
function simulator(state: Readonly<Record<string, string>>) {
  const calls: unknown[][] = [];
  const called =
    (name: string) =>
    (...args: unknown[]): void => {
      calls.push([name, ...args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg).toString() : arg))]);
    };
  const fake = {
    getState: (_collection: string, key: string) => {
      const value = state[key];
      return value === undefined ? undefined : Buffer.from(value);
    },
    putState: called('put'),
    deleteState: called('delete'),
    purgePrivateData: called('purge'),
    putMetadata: called('metadata'),
  };
  return { simulator: fake as unknown as TransactionSimulator, calls };
}

function message(type: peer.ChaincodeMessage['getType'] extends () => infer T ? T : never, payload: Uint8Array) {
  const request = new peer.ChaincodeMessage();
  request.setType(type);
  request.setPayload(payload);
  return request;
}

describe('Messages for many keys', () => {
  it('are answered with one value a key, empty where there is none', async () => {
    const request = new peer.GetStateMultiple();
    request.setKeysList(['b', 'missing', 'a']);
    const { simulator: fake } = simulator({ a: '1', b: '2' });
    const answer = await handleStateRequest(message(MESSAGE.GET_STATE_MULTIPLE, request.serializeBinary()), fake);
    const values = peer.GetStateMultipleResult.deserializeBinary(answer!).getValuesList_asU8();
    expect(values.map((value) => Buffer.from(value).toString())).to.deep.equal(['2', '', '1']);
  });

  it('write record after record, each in its way', async () => {
    const batch = new peer.WriteBatchState();
    for (const [type, key] of [
      [WRITE.PUT_STATE, 'p'],
      [WRITE.DEL_STATE, 'd'],
      [WRITE.PURGE_PRIVATE_DATA, 'g'],
      [WRITE.PUT_STATE_METADATA, 'm'],
    ] as const) {
      const record = new peer.WriteRecord();
      record.setType(type);
      record.setKey(key);
      record.setCollection(type === WRITE.PURGE_PRIVATE_DATA ? 'pair' : '');
      record.setValue(Buffer.from('v'));
      batch.addRec(record);
    }
    const { simulator: fake, calls } = simulator({});
    await handleStateRequest(message(MESSAGE.WRITE_BATCH_STATE, batch.serializeBinary()), fake);
    expect(calls.map(([name, , key]) => [name, key])).to.deep.equal([
      ['put', 'p'],
      ['delete', 'd'],
      ['purge', 'g'],
      ['metadata', 'm'],
    ]);
  });

  it('with an unknown kind of write are refused as a peer refuses them', async () => {
    const batch = new peer.WriteBatchState();
    batch.addRec(new peer.WriteRecord());
    const request = message(MESSAGE.WRITE_BATCH_STATE, batch.serializeBinary());
    const error = await handleStateRequest(request, simulator({}).simulator).catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('message', 'unknown operation type');
  });
});
