// SPDX-License-Identifier: Apache-2.0
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ledger } from '@hyperledger/fabric-protos';
import { ClassicLevel } from 'classic-level';
import type { Collections } from '../chaincode/collections.js';
import { closeAll } from '../../closing.js';
import { sha256 } from '../protocol/block.js';
import { encodeVersion, type Version } from './keys.js';
import type { Database, Operation } from './state.js';
import type { CommittedTransaction, PrivateHash, StateKey } from './transactions.js';

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

/** What one organisation's peer keeps of the private writes of one transaction to one collection. */
export interface PrivateSet {
  readonly mspId: string;
  readonly version: Version;
  readonly namespace: string;
  readonly collection: string;
  /** Serialised `KVRWSet`. */
  readonly rwset: Buffer;
}

/** Fabric's `ledger.pvtdataStore.purgeInterval` and `peer.gossip.pvtData.transientstoreMaxBlockRetention`, in blocks. */
const PURGE_INTERVAL = 100;
const TRANSIENT_RETENTION = 20_000;
const TRANSIENT = { gte: Buffer.from('t'), lt: Buffer.from('u') };
const WHOLE = Buffer.from([0]);
const TRIMMED = Buffer.from([1]);

/**
 * The private writes that each organisation's peer keeps, apart from each other: those of endorsed transactions until
 * they are committed, and those of committed ones until they expire or are purged. A store is made when it is needed.
 */
export class PrivateData {
  readonly #directory: string;
  readonly #collections: Collections;
  readonly #stores = new Map<string, Database>();
  /** Transactions whose private writes wait to be committed. */
  readonly #waiting = new Set<string>();

  readonly #log: Log;

  private constructor(directory: string, collections: Collections, log: Log) {
    this.#directory = directory;
    this.#collections = collections;
    this.#log = log;
  }

  /** Opens the stores that there are in `directory`, one folder an organisation. */
  static async open(directory: string, collections: Collections, log: Log): Promise<PrivateData> {
    const stores = new PrivateData(directory, collections, log);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const mspId of await readdir(directory)) {
      const store = await stores.#open(mspId);
      for await (const key of store.keys(TRANSIENT)) {
        stores.#waiting.add(transactionOf(key));
      }
    }
    return stores;
  }

  /**
   * Hands what a peer has simulated to the peers of every member.
   * @param endorser organisation of the peer
   * @param sets private read/write set of each collection, serialised
   * @throws Error with a peer's text where too few other members have a peer.
   */
  async distribute(
    endorser: string,
    transactionId: string,
    height: number,
    namespace: string,
    sets: ReadonlyMap<string, Uint8Array>,
  ): Promise<void> {
    if (sets.size === 0) {
      return;
    }
    for (const collection of sets.keys()) {
      const { keepers, requiredPeerCount } = this.#collection(namespace, collection);
      const others = keepers.filter((mspId) => mspId !== endorser).length;
      if (others < requiredPeerCount) {
        throw new Error(
          `could not build private data dissemination plan for chaincode ${namespace} and collection ${collection}: ` +
            `required to disseminate to at least ${String(requiredPeerCount)} peers, ` +
            `but know of only ${String(others)} eligible peers`,
        );
      }
    }
    this.#waiting.add(transactionId);
    for (const [collection, rwset] of sets) {
      const key = transientKey(transactionId, { namespace, collection, hash: sha256(rwset) });
      for (const mspId of this.#collection(namespace, collection).keepers) {
        await (
          await this.#open(mspId)
        ).put(key, Buffer.concat([encodeVersion({ block: height, transaction: 0 }), rwset]));
      }
    }
  }

  /**
   * Finds the private writes of a block that is about to be committed and makes them durable.
   * @returns what is there of them; an organisation that got none goes without, as a peer does.
   */
  async stage(block: number, transactions: readonly CommittedTransaction[]): Promise<PrivateSet[]> {
    const found: PrivateSet[] = [];
    const operations = new Map<Database, Operation[]>();
    for (const [transaction, { id, privateHashes }] of transactions.entries()) {
      for (const wanted of privateHashes) {
        const { namespace, collection } = wanted;
        const version = { block, transaction };
        for (const mspId of this.#collections.find(namespace, collection)?.keepers ?? []) {
          const store = await this.#open(mspId);
          const waiting = store.getSync(transientKey(id, wanted))?.subarray(encodeVersion(version).length);
          const rwset = waiting ?? this.#committed(store, version, wanted);
          if (rwset === undefined) {
            this.#log('warn', 'private data are missing', { mspId, collection, block, transaction: id });
          } else {
            found.push({ mspId, version, namespace, collection, rwset });
          }
          if (waiting !== undefined) {
            const put = {
              type: 'put',
              key: committedKey(wanted, version),
              value: Buffer.concat([WHOLE, waiting]),
            } as const;
            operations.set(store, [...(operations.get(store) ?? []), put]);
          }
        }
      }
    }
    await Promise.all([...operations].map(([store, batch]) => store.batch(batch, { sync: true })));
    return found;
  }

  /** Lets go of what a committed block has made superfluous. Repeating it does no harm. */
  async release(block: number, transactions: readonly CommittedTransaction[]): Promise<void> {
    for (const [transaction, { id, writes }] of transactions.entries()) {
      if (this.#waiting.delete(id)) {
        for (const store of this.#stores.values()) {
          await store.clear({ gte: Buffer.from(`t${id}\u0000`), lt: Buffer.from(`t${id}\u0001`) });
        }
      }
      for (const write of writes) {
        if (write.kind === 'value' && write.isPurge === true) {
          await this.#purge(write, { block, transaction });
        }
      }
    }
    if (block % PURGE_INTERVAL === 0) {
      await this.#forget(block);
    }
  }

  /** Whether there is anything at all. */
  get isUsed(): boolean {
    return this.#stores.size > 0;
  }

  /** What an organisation keeps of a committed transaction's private writes, unless they have expired. */
  read(mspId: string, version: Version, wanted: PrivateHash, height: number): Buffer | undefined {
    const { blockToLive = 0 } = this.#collections.find(wanted.namespace, wanted.collection) ?? {};
    const isExpired = blockToLive > 0 && height > version.block + blockToLive + 1;
    const store = this.#stores.get(mspId);
    return store === undefined || isExpired ? undefined : this.#committed(store, version, wanted);
  }

  async close(): Promise<void> {
    await closeAll([...this.#stores.values()].map((store) => () => store.close()));
  }

  #collection(namespace: string, name: string): NonNullable<ReturnType<Collections['find']>> {
    const collection = this.#collections.find(namespace, name);
    if (collection === undefined) {
      throw new Error(`no configuration for collection ${name} found`);
    }
    return collection;
  }

  #committed(store: Database, version: Version, wanted: PrivateHash): Buffer | undefined {
    const value = store.getSync(committedKey(wanted, version));
    const rwset = value?.subarray(1);
    const isTrimmed = value?.[0] === TRIMMED[0];
    return rwset !== undefined && (isTrimmed || sha256(rwset).equals(wanted.hash)) ? rwset : undefined;
  }

  /** Takes a key out of what was written to it before. */
  async #purge(at: StateKey, version: Version): Promise<void> {
    const range = { gte: committedPrefix(at), lt: committedKey(at, version) };
    for (const mspId of this.#collections.find(at.namespace, at.collection)?.keepers ?? []) {
      const store = await this.#open(mspId);
      for await (const [key, value] of store.iterator(range)) {
        const rwset = ledger.rwset.kvrwset.KVRWSet.deserializeBinary(value.subarray(1));
        const writes = rwset.getWritesList();
        const kept = writes.filter((write) => sha256(Buffer.from(write.getKey())).toString('base64') !== at.key);
        if (kept.length < writes.length) {
          rwset.setWritesList(kept);
          await store.put(key, Buffer.concat([TRIMMED, rwset.serializeBinary()]), { sync: true });
        }
      }
    }
  }

  /** Removes what has expired, and what was endorsed long ago and never committed. */
  async #forget(block: number): Promise<void> {
    for (const store of this.#stores.values()) {
      for (const { chaincode, collection } of this.#collections.expiring()) {
        const at = { namespace: chaincode, collection: collection.name };
        const last = block - collection.blockToLive;
        await store.clear({
          gte: committedPrefix(at),
          lt: committedKey(at, { block: Math.max(last, 0), transaction: 0 }),
        });
      }
      const oldest = encodeVersion({ block: Math.max(block - TRANSIENT_RETENTION, 0), transaction: 0 });
      for await (const [key, value] of store.iterator(TRANSIENT)) {
        if (Buffer.compare(value.subarray(0, oldest.length), oldest) < 0) {
          await store.del(key);
          this.#waiting.delete(transactionOf(key));
        }
      }
    }
  }

  async #open(mspId: string): Promise<Database> {
    let store = this.#stores.get(mspId);
    if (store === undefined) {
      store = new ClassicLevel(join(this.#directory, mspId), { keyEncoding: 'buffer', valueEncoding: 'buffer' });
      this.#stores.set(mspId, store);
    }
    await store.open();
    return store;
  }
}

function transientKey(transactionId: string, { namespace, collection, hash }: PrivateHash): Buffer {
  return Buffer.from(['t' + transactionId, namespace, collection, Buffer.from(hash).toString('hex')].join('\u0000'));
}

function transactionOf(key: Buffer): string {
  return key.subarray(1, key.indexOf(0)).toString();
}

function committedPrefix({ namespace, collection }: Omit<StateKey, 'key'>): Buffer {
  return Buffer.from(`c${namespace}\u0000${collection}\u0000`);
}

function committedKey(space: Omit<StateKey, 'key'>, version: Version): Buffer {
  return Buffer.concat([committedPrefix(space), encodeVersion(version)]);
}
