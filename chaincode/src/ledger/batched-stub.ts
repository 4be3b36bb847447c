// SPDX-License-Identifier: Apache-2.0
import { createRequire } from 'node:module';
import type * as shimProtos from '@hyperledger/fabric-protos';
import type { ChaincodeStub } from 'fabric-shim-api';
// By its own path: the package's index loads every message of Fabric.
import * as peer from '@hyperledger/fabric-protos/lib/peer/chaincode_shim_pb';

/** One write of public state; no value deletes the key. */
export interface StateWrite {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** Keys in one message; a peer's `chaincode.runtimeParams.maxSize…` is 1,000 unless it says otherwise. */
const MAX_KEYS = 500;

/**
 * Reads and writes of many keys in one message each (`GET_STATE_MULTIPLE`, `WRITE_BATCH_STATE` of Fabric 3.1's
 * fabric-protos `peer/chaincode_shim.proto`). A message to the peer and its answer cost half a millisecond of processor
 * time at every endorser, and a transaction may have only one of them under way.
 *
 * fabric-shim 2.5 speaks these messages to a peer but offers no call for them, so they go through the handler that its
 * stub holds. A stub without it (a test's) is asked key by key.
 */
export class BatchedStub {
  readonly #stub: ChaincodeStub;
  readonly #handler: ShimHandler | undefined;

  constructor(stub: ChaincodeStub) {
    this.#stub = stub;
    this.#handler = (stub as ChaincodeStub & { readonly handler?: ShimHandler }).handler;
  }

  /** @returns one value a key, in order; empty where the ledger has none. */
  async read(keys: readonly string[]): Promise<readonly Uint8Array[]> {
    if (this.#handler === undefined || keys.length === 1) {
      return Promise.all(keys.map((key) => this.#stub.getState(key)));
    }
    const values: Uint8Array[] = [];
    for (const part of parts(keys)) {
      const request = new peer.GetStateMultiple();
      request.setKeysList([...part]);
      const answer = await this.#ask(this.#handler, MESSAGE.GET_STATE_MULTIPLE, request.serializeBinary());
      const found = peer.GetStateMultipleResult.deserializeBinary(answer).getValuesList_asU8();
      if (found.length !== part.length) {
        throw new Error(`The peer answered ${found.length} values for ${part.length} keys`);
      }
      values.push(...found);
    }
    return values;
  }

  /** @returns nothing for each write, in order. */
  async write(writes: readonly StateWrite[]): Promise<readonly undefined[]> {
    if (this.#handler === undefined || writes.length === 1) {
      await Promise.all(writes.map((write) => this.#writeOne(write)));
      return writes.map(() => undefined);
    }
    for (const part of parts(writes)) {
      const batch = new peer.WriteBatchState();
      batch.setRecList(part.map(recordOf));
      await this.#ask(this.#handler, MESSAGE.WRITE_BATCH_STATE, batch.serializeBinary());
    }
    return writes.map(() => undefined);
  }

  #writeOne({ key, value }: StateWrite): Promise<void> {
    return value === undefined ? this.#stub.deleteState(key) : this.#stub.putState(key, value);
  }

  #ask(handler: ShimHandler, type: MessageType, payload: Uint8Array): Promise<Uint8Array> {
    const message = newShimMessage();
    message.setType(type);
    message.setPayload(payload);
    message.setTxid(this.#stub.getTxID());
    message.setChannelId(this.#stub.getChannelID());
    return handler._askPeerAndListen(message, '');
  }
}

const MESSAGE = peer.ChaincodeMessage.Type;
type MessageType = peer.ChaincodeMessage.TypeMap[keyof peer.ChaincodeMessage.TypeMap];

/** What is used of fabric-shim's message handler: queues a message of a transaction and resolves with the answer. */
interface ShimHandler {
  _askPeerAndListen(message: peer.ChaincodeMessage, method: string): Promise<Uint8Array>;
}

let shimMessage: typeof peer.ChaincodeMessage | undefined;

/** fabric-shim sends messages of its own copy of fabric-protos only. */
function newShimMessage(): peer.ChaincodeMessage {
  shimMessage ??= (createRequire(require.resolve('fabric-shim'))('@hyperledger/fabric-protos') as typeof shimProtos)
    .peer.ChaincodeMessage;
  return new shimMessage();
}

function recordOf({ key, value }: StateWrite): peer.WriteRecord {
  const record = new peer.WriteRecord();
  record.setKey(key);
  if (value === undefined) {
    record.setType(peer.WriteRecord.Type.DEL_STATE);
  } else {
    record.setType(peer.WriteRecord.Type.PUT_STATE);
    record.setValue(value);
  }
  return record;
}

function parts<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / MAX_KEYS) }, (_, index) =>
    items.slice(index * MAX_KEYS, (index + 1) * MAX_KEYS),
  );
}
