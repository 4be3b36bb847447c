// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import type { Page, TransactionSimulator } from '../simulation/simulator.js';

const MESSAGE = peer.ChaincodeMessage.Type;

/**
 * Answers what a running transaction asks of the ledger.
 * @returns payload of the response.
 * @throws Error whose text goes to the chaincode; everything that is not supported is refused by name.
 */
export async function handleStateRequest(
  message: peer.ChaincodeMessage,
  simulator: TransactionSimulator,
): Promise<Uint8Array | undefined> {
  const payload = message.getPayload_asU8();
  switch (message.getType()) {
    case MESSAGE.GET_STATE: {
      const request = peer.GetState.deserializeBinary(payload);
      refuseCollection(request.getCollection());
      return simulator.getState(request.getKey());
    }
    case MESSAGE.PUT_STATE: {
      const request = peer.PutState.deserializeBinary(payload);
      refuseCollection(request.getCollection());
      simulator.putState(request.getKey(), request.getValue_asU8());
      return undefined;
    }
    case MESSAGE.DEL_STATE: {
      const request = peer.DelState.deserializeBinary(payload);
      refuseCollection(request.getCollection());
      simulator.deleteState(request.getKey());
      return undefined;
    }
    case MESSAGE.GET_STATE_BY_RANGE: {
      const request = peer.GetStateByRange.deserializeBinary(payload);
      refuseCollection(request.getCollection());
      const page = pageOf(request.getMetadata_asU8());
      const response = await simulator.getStateByRange(request.getStartkey(), request.getEndkey(), page);
      return response.serializeBinary();
    }
    case MESSAGE.GET_HISTORY_FOR_KEY: {
      const request = peer.GetHistoryForKey.deserializeBinary(payload);
      return (await simulator.getHistoryForKey(request.getKey())).serializeBinary();
    }
    case MESSAGE.QUERY_STATE_NEXT: {
      const request = peer.QueryStateNext.deserializeBinary(payload);
      return (await simulator.nextResults(request.getId())).serializeBinary();
    }
    case MESSAGE.QUERY_STATE_CLOSE: {
      const request = peer.QueryStateClose.deserializeBinary(payload);
      return (await simulator.closeQuery(request.getId())).serializeBinary();
    }
    case MESSAGE.GET_QUERY_RESULT:
      // What a Fabric peer answers whose state database is LevelDB.
      throw new Error('ExecuteQuery not supported for leveldb');
    case MESSAGE.INVOKE_CHAINCODE:
      throw notSupported('calling another chaincode');
    case MESSAGE.GET_PRIVATE_DATA_HASH:
    case MESSAGE.PURGE_PRIVATE_DATA:
      throw notSupported('private data');
    case MESSAGE.GET_STATE_METADATA:
    case MESSAGE.PUT_STATE_METADATA:
      throw notSupported('key-level endorsement policy');
    default:
      throw notSupported(`chaincode message type ${String(message.getType())}`);
  }
}

function refuseCollection(collection: string): void {
  if (collection !== '') {
    throw notSupported('private data');
  }
}

function notSupported(what: string): Error {
  return new Error(`${what} is not supported by the embedded network`);
}

function pageOf(metadata: Uint8Array): Page | undefined {
  const { pagesize, bookmark } = peer.QueryMetadata.deserializeBinary(metadata).toObject();
  return pagesize === 0 && bookmark === '' ? undefined : { size: pagesize, bookmark };
}
