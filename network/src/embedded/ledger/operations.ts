// SPDX-License-Identifier: Apache-2.0
import { ledger, peer } from '@hyperledger/fabric-protos';
import type { Collections } from '../chaincode/collections.js';
import { sha256 } from '../protocol/block.js';
import {
  decodeStateValue,
  encodeStateValue,
  encodeTransactionRecord,
  expiryPrefix,
  hashSpace,
  historyKey,
  historyPrefix,
  metadataSpace,
  privateSpace,
  stateKey,
  transactionKey,
  type VersionedValue,
} from './keys.js';
import type { PrivateSet } from './privatedata.js';
import { encodeHistory, type Database, type Operation } from './state.js';
import { isIndexed, type CommittedTransaction, type StateWrite } from './transactions.js';
import { BlockUpdates } from './updates.js';

/** A block whose effects are to be written. */
export interface BlockEffects {
  readonly number: number;
  readonly transactions: readonly CommittedTransaction[];
  readonly updates: BlockUpdates;
  readonly privateSets: readonly PrivateSet[];
}

/** A private key whose lifetime ends with a block, unless it is written again before. */
interface Expiry {
  readonly namespace: string;
  readonly collection: string;
  /** Base64 of the key's hash. */
  readonly key: string;
  /** The key itself, where an organisation has it. */
  readonly privateKey: string | undefined;
  /** Block that wrote it. */
  readonly block: number;
}

const NONE = new Uint8Array();

/** All that a block changes in the store: state, private state, history, index of transactions, lifetimes. */
export async function blockOperations(
  database: Database,
  collections: Collections,
  effects: BlockEffects,
): Promise<Operation[]> {
  const { number, transactions, updates, privateSets } = effects;
  const kept = privateUpdates(database, privateSets);
  return [
    ...updateOperations(updates),
    ...updateOperations(kept),
    ...(await expire(database, collections, number, updates, kept)),
    ...scheduleExpiry(collections, number, updates, kept),
    ...transactionOperations(number, transactions),
  ];
}

function updateOperations(updates: BlockUpdates): Operation[] {
  return [...updates.all()].flatMap(({ namespace, collection, key, value, metadata, version }): Operation[] => {
    const space = hashSpace(namespace, collection);
    const metadataKey = stateKey(metadataSpace(space), key);
    return [
      value === undefined
        ? { type: 'del', key: stateKey(space, key) }
        : { type: 'put', key: stateKey(space, key), value: encodeStateValue(version, value) },
      ...(metadata === undefined
        ? []
        : [
            metadata.length === 0
              ? { type: 'del' as const, key: metadataKey }
              : { type: 'put' as const, key: metadataKey, value: Buffer.from(metadata) },
          ]),
    ];
  });
}

/** What each organisation keeps; a private key gets a new version when its public metadata does. */
function privateUpdates(database: Database, sets: readonly PrivateSet[]): BlockUpdates {
  const updates = new BlockUpdates(({ namespace, key }) => stateOf(database, namespace, key)?.value);
  for (const { mspId, version, namespace, collection, rwset } of sets) {
    const at = { namespace: privateSpace(mspId, namespace, collection), collection: '' };
    const set = ledger.rwset.kvrwset.KVRWSet.deserializeBinary(rwset);
    const values = set.getWritesList().map((write): StateWrite => {
      const value = write.getIsDelete() ? undefined : write.getValue_asU8();
      return { ...at, key: write.getKey(), kind: 'value', value };
    });
    const renewed = set.getMetadataWritesList().map((write): StateWrite => {
      return { ...at, key: write.getKey(), kind: 'metadata', metadata: NONE };
    });
    updates.write([...values, ...renewed], version);
  }
  return updates;
}

function scheduleExpiry(
  collections: Collections,
  block: number,
  updates: BlockUpdates,
  kept: BlockUpdates,
): Operation[] {
  const operations: Operation[] = [];
  let privateKeys: Map<string, string> | undefined;
  for (const { namespace, collection, key, value } of updates.all()) {
    const { blockToLive = 0 } = (collection !== '' && collections.find(namespace, collection)) || {};
    if (blockToLive > 0 && value !== undefined) {
      privateKeys ??= new Map([...kept.all()].map((one) => [sha256(Buffer.from(one.key)).toString('base64'), one.key]));
      const expiry: Expiry = { namespace, collection, key, privateKey: privateKeys.get(key), block };
      const prefix = expiryPrefix(block + blockToLive + 1);
      const id = Buffer.from(`${hashSpace(namespace, collection)}\u0000${key}`);
      operations.push({
        type: 'put',
        key: Buffer.concat([prefix, id]),
        value: Buffer.from(JSON.stringify(expiry)),
      });
    }
  }
  return operations;
}

/** Removes what the block outlives, except what it writes itself. */
async function expire(
  database: Database,
  collections: Collections,
  block: number,
  updates: BlockUpdates,
  kept: BlockUpdates,
): Promise<Operation[]> {
  const operations: Operation[] = [];
  const range = { gte: expiryPrefix(block), lt: expiryPrefix(block + 1) };
  for await (const [id, bytes] of database.iterator(range)) {
    const { namespace, collection, key, privateKey, block: writtenIn } = JSON.parse(bytes.toString()) as Expiry;
    const remove = (space: string, name: string): void => {
      if (stateOf(database, space, name)?.version.block === writtenIn) {
        operations.push(
          { type: 'del', key: stateKey(space, name) },
          { type: 'del', key: stateKey(metadataSpace(space), name) },
        );
      }
    };
    operations.push({ type: 'del', key: id });
    if (updates.get({ namespace, collection, key }) === undefined) {
      remove(hashSpace(namespace, collection), key);
    }
    for (const mspId of collections.find(namespace, collection)?.keepers ?? []) {
      const space = privateSpace(mspId, namespace, collection);
      if (privateKey !== undefined && kept.get({ namespace: space, collection: '', key: privateKey }) === undefined) {
        remove(space, privateKey);
      }
    }
  }
  return operations;
}

function transactionOperations(block: number, transactions: readonly CommittedTransaction[]): Operation[] {
  const operations: Operation[] = [];
  const valid = new Set(transactions.filter(({ code }) => code === peer.TxValidationCode.VALID).map(({ id }) => id));
  transactions.forEach((committed, transaction) => {
    const version = { block, transaction };
    const { id, timestamp, code } = committed;
    for (const write of committed.writes) {
      if (write.kind === 'value' && write.collection === '') {
        const value = Buffer.from(write.value ?? NONE);
        operations.push({
          type: 'put',
          key: historyKey(historyPrefix(write.namespace, write.key), version),
          value: encodeHistory({ transactionId: id, timestamp, isDelete: write.value === undefined, value }),
        });
      }
    }
    // An invalid transaction of the same block and id must not hide the one that is valid.
    const isHidden = valid.has(id) && code !== peer.TxValidationCode.VALID;
    if (id !== '' && isIndexed(code) && !isHidden) {
      operations.push({ type: 'put', key: transactionKey(id), value: encodeTransactionRecord({ ...version, code }) });
    }
  });
  return operations;
}

function stateOf(database: Database, space: string, key: string): VersionedValue | undefined {
  const bytes = database.getSync(stateKey(space, key));
  return bytes && decodeStateValue(bytes);
}
