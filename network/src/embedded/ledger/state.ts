// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import type { ClassicLevel } from 'classic-level';
import {
  decodeStateValue,
  historyPrefix,
  ledgerKey,
  metadataSpace,
  stateEnd,
  stateKey,
  type Version,
  type VersionedValue,
} from './keys.js';

export type Database = ClassicLevel<Buffer, Buffer>;
export type Operation = { type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer };

export interface StateEntry extends VersionedValue {
  readonly key: string;
}

/** Time in a transaction's header. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** One earlier value of a key; `value` is empty where the key was deleted. */
export interface HistoryEntry {
  readonly transactionId: string;
  readonly timestamp: Timestamp;
  readonly isDelete: boolean;
  readonly value: Buffer;
}

/** Results one at a time; close it when done. */
export interface StateIterator<T> {
  next(): Promise<T | undefined>;
  close(): Promise<void>;
}

/** Reads of the world state, all at one height. */
export interface StateReader {
  get(namespace: string, key: string): VersionedValue | undefined;
  /** Serialised metadata of a key; empty where it has none. */
  metadata(namespace: string, key: string): Uint8Array;
  /** Keys from `start` up to and without `end`, in byte order; empty strings stand for the first and past the last. */
  range(namespace: string, start: string, end: string): StateIterator<StateEntry>;
  /** A key's values, newest first. */
  history(namespace: string, key: string): StateIterator<HistoryEntry>;
}

/** The world state as it was when the snapshot was taken. */
export class StateSnapshot implements StateReader {
  readonly #database: Database;
  readonly #snapshot: ReturnType<Database['snapshot']>;
  #closing: Promise<void> | undefined;

  constructor(database: Database) {
    this.#database = database;
    this.#snapshot = database.snapshot();
  }

  get(namespace: string, key: string): VersionedValue | undefined {
    const bytes = this.#database.getSync(stateKey(namespace, key), { snapshot: this.#snapshot });
    return bytes === undefined ? undefined : decodeStateValue(bytes);
  }

  metadata(namespace: string, key: string): Uint8Array {
    const at = stateKey(metadataSpace(namespace), key);
    return this.#database.getSync(at, { snapshot: this.#snapshot }) ?? new Uint8Array();
  }

  range(namespace: string, start: string, end: string): StateIterator<StateEntry> {
    const iterator = this.#database.iterator({
      gte: stateKey(namespace, start),
      lt: end === '' ? stateEnd(namespace) : stateKey(namespace, end),
      snapshot: this.#snapshot,
    });
    return {
      next: async () => {
        const entry = await iterator.next();
        return entry === undefined ? undefined : { key: ledgerKey(namespace, entry[0]), ...decodeStateValue(entry[1]) };
      },
      close: () => iterator.close(),
    };
  }

  history(namespace: string, key: string): StateIterator<HistoryEntry> {
    const prefix = historyPrefix(namespace, key);
    const iterator = this.#database.values({
      gte: prefix,
      lt: Buffer.concat([prefix, Buffer.alloc(13, 0xff)]),
      reverse: true,
      snapshot: this.#snapshot,
    });
    return {
      next: async () => {
        const bytes = await iterator.next();
        return bytes === undefined ? undefined : decodeHistory(bytes);
      },
      close: () => iterator.close(),
    };
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#snapshot.close();
    return this.#closing;
  }
}

/** Same height? Both absent counts as same. */
export function sameVersion(a: Version | undefined, b: Version | undefined): boolean {
  return a?.block === b?.block && a?.transaction === b?.transaction;
}

/** Metadata by name. The message for hashed keys differs in its first field only, which is not read. */
export function decodeMetadata(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const entries = ledger.rwset.kvrwset.KVMetadataWriteHash.deserializeBinary(bytes).getEntriesList();
  return new Map(entries.map((entry) => [entry.getName(), entry.getValue_asU8()]));
}

const HISTORY_HEAD_BYTES = 14;

export function encodeHistory(entry: HistoryEntry): Buffer {
  const id = Buffer.from(entry.transactionId, 'utf8');
  const head = Buffer.alloc(HISTORY_HEAD_BYTES);
  head.writeUInt8(entry.isDelete ? 1 : 0, 0);
  head.writeDoubleBE(entry.timestamp.seconds, 1);
  head.writeInt32BE(entry.timestamp.nanos, 9);
  head.writeUInt8(id.length, 13);
  return Buffer.concat([head, id, entry.value]);
}

function decodeHistory(bytes: Buffer): HistoryEntry {
  const valueOffset = HISTORY_HEAD_BYTES + bytes.readUInt8(13);
  return {
    isDelete: bytes.readUInt8(0) === 1,
    timestamp: { seconds: bytes.readDoubleBE(1), nanos: bytes.readInt32BE(9) },
    transactionId: bytes.toString('utf8', HISTORY_HEAD_BYTES, valueOffset),
    value: bytes.subarray(valueOffset),
  };
}
