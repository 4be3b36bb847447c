// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import type { Page } from '../simulation/queries.js';
import type { TransactionSimulator } from '../simulation/simulator.js';

const MESSAGE = peer.ChaincodeMessage.Type;
const WRITE = peer.WriteRecord.Type;

type Answer = Uint8Array | undefined;
type Handler = (payload: Uint8Array, simulator: TransactionSimulator) => Answer | Promise<Answer>;

/** What a running transaction may ask; collections are the empty string for public state. */
const HANDLERS: Readonly<Record<number, Handler>> = {
  [MESSAGE.GET_STATE]: (payload, simulator) => {
    const request = peer.GetState.deserializeBinary(payload);
    return simulator.getState(request.getCollection(), request.getKey());
  },
  [MESSAGE.PUT_STATE]: (payload, simulator) => {
    const request = peer.PutState.deserializeBinary(payload);
    simulator.putState(request.getCollection(), request.getKey(), request.getValue_asU8());
    return undefined;
  },
  [MESSAGE.DEL_STATE]: (payload, simulator) => {
    const request = peer.DelState.deserializeBinary(payload);
    simulator.deleteState(request.getCollection(), request.getKey());
    return undefined;
  },
  [MESSAGE.GET_STATE_MULTIPLE]: (payload, simulator) => {
    const request = peer.GetStateMultiple.deserializeBinary(payload);
    const result = new peer.GetStateMultipleResult();
    for (const key of request.getKeysList()) {
      result.addValues(simulator.getState(request.getCollection(), key) ?? new Uint8Array());
    }
    return result.serializeBinary();
  },
  [MESSAGE.WRITE_BATCH_STATE]: (payload, simulator) => {
    for (const record of peer.WriteBatchState.deserializeBinary(payload).getRecList()) {
      writeRecord(record, simulator);
    }
    return undefined;
  },
  [MESSAGE.GET_PRIVATE_DATA_HASH]: (payload, simulator) => {
    const request = peer.GetState.deserializeBinary(payload);
    return simulator.getPrivateDataHash(request.getCollection(), request.getKey());
  },
  [MESSAGE.PURGE_PRIVATE_DATA]: (payload, simulator) => {
    const request = peer.DelState.deserializeBinary(payload);
    simulator.purgePrivateData(request.getCollection(), request.getKey());
    return undefined;
  },
  [MESSAGE.GET_STATE_METADATA]: (payload, simulator) => {
    const request = peer.GetStateMetadata.deserializeBinary(payload);
    const result = new peer.StateMetadataResult();
    for (const [name, value] of simulator.getMetadata(request.getCollection(), request.getKey())) {
      const entry = new peer.StateMetadata();
      entry.setMetakey(name);
      entry.setValue(value);
      result.addEntries(entry);
    }
    return result.serializeBinary();
  },
  [MESSAGE.PUT_STATE_METADATA]: (payload, simulator) => {
    const request = peer.PutStateMetadata.deserializeBinary(payload);
    const metadata = request.getMetadata() ?? new peer.StateMetadata();
    const entries = new Map([[metadata.getMetakey(), metadata.getValue_asU8()]]);
    simulator.putMetadata(request.getCollection(), request.getKey(), entries);
    return undefined;
  },
  [MESSAGE.GET_STATE_BY_RANGE]: async (payload, simulator) => {
    const request = peer.GetStateByRange.deserializeBinary(payload);
    const [start, end] = [request.getStartkey(), request.getEndkey()];
    const page = pageOf(request.getMetadata_asU8());
    return (await simulator.getStateByRange(request.getCollection(), start, end, page)).serializeBinary();
  },
  [MESSAGE.GET_HISTORY_FOR_KEY]: async (payload, simulator) => {
    const request = peer.GetHistoryForKey.deserializeBinary(payload);
    return (await simulator.getHistoryForKey(request.getKey())).serializeBinary();
  },
  [MESSAGE.QUERY_STATE_NEXT]: async (payload, simulator) => {
    const request = peer.QueryStateNext.deserializeBinary(payload);
    return (await simulator.queries.next(request.getId())).serializeBinary();
  },
  [MESSAGE.QUERY_STATE_CLOSE]: async (payload, simulator) => {
    const request = peer.QueryStateClose.deserializeBinary(payload);
    return (await simulator.queries.close(request.getId())).serializeBinary();
  },
  [MESSAGE.GET_QUERY_RESULT]: () => {
    // What a Fabric peer answers whose state database is LevelDB.
    throw new Error('ExecuteQuery not supported for leveldb');
  },
  [MESSAGE.INVOKE_CHAINCODE]: () => {
    throw new Error('calling another chaincode is not supported by the embedded network');
  },
};

/**
 * Answers what a running transaction asks of the ledger.
 * @returns payload of the response.
 * @throws Error whose text goes to the chaincode; everything that is not supported is refused by name.
 */
export async function handleStateRequest(
  message: peer.ChaincodeMessage,
  simulator: TransactionSimulator,
): Promise<Answer> {
  const handler = HANDLERS[message.getType()];
  if (handler === undefined) {
    throw new Error(`chaincode message type ${String(message.getType())} is not supported by the embedded network`);
  }
  return handler(message.getPayload_asU8(), simulator);
}

/** One record of a batch of writes. */
function writeRecord(record: peer.WriteRecord, simulator: TransactionSimulator): void {
  const [collection, key] = [record.getCollection(), record.getKey()];
  switch (record.getType()) {
    case WRITE.PUT_STATE:
      simulator.putState(collection, key, record.getValue_asU8());
      return;
    case WRITE.DEL_STATE:
      simulator.deleteState(collection, key);
      return;
    case WRITE.PURGE_PRIVATE_DATA:
      simulator.purgePrivateData(collection, key);
      return;
    case WRITE.PUT_STATE_METADATA: {
      const metadata = record.getMetadata() ?? new peer.StateMetadata();
      simulator.putMetadata(collection, key, new Map([[metadata.getMetakey(), metadata.getValue_asU8()]]));
      return;
    }
    default:
      throw new Error('unknown operation type');
  }
}

function pageOf(metadata: Uint8Array): Page | undefined {
  const { pagesize, bookmark } = peer.QueryMetadata.deserializeBinary(metadata).toObject();
  return pagesize === 0 && bookmark === '' ? undefined : { size: pagesize, bookmark };
}
