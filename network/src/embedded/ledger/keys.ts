// SPDX-License-Identifier: Apache-2.0

/** Height at which a value was written: block and position in the block. */
export interface Version {
  readonly block: number;
  readonly transaction: number;
}

export interface VersionedValue {
  readonly value: Buffer;
  readonly version: Version;
}

/** Validation result of a committed transaction. */
export interface TransactionRecord extends Version {
  readonly code: number;
}

const PREFIX = { state: 's', history: 'h', transaction: 't', block: 'b', expiry: 'e', meta: 'm' } as const;
const VERSION_BYTES = 12;

export const SAVEPOINT_KEY = Buffer.from(`${PREFIX.meta}savepoint`);

/** The part of the world state that holds the hashes of a collection; a chaincode's own state has none. */
export function hashSpace(namespace: string, collection: string): string {
  return collection === '' ? namespace : `${namespace}\u0002h${collection}`;
}

/** The part of the world state that holds what one organisation's peer keeps of a collection. */
export function privateSpace(mspId: string, namespace: string, collection: string): string {
  return `${namespace}\u0002p${collection}\u0002${mspId}`;
}

/** The part of the world state that holds the metadata of the keys of another part. */
export function metadataSpace(space: string): string {
  return `${space}\u0002m`;
}

/** Key of a value in the world state; namespaces hold no zero byte, so namespace and key cannot run together. */
export function stateKey(namespace: string, key: string): Buffer {
  return Buffer.from(`${PREFIX.state}${namespace}\u0000${key}`, 'utf8');
}

/** First key after a namespace's last. */
export function stateEnd(namespace: string): Buffer {
  return Buffer.from(`${PREFIX.state}${namespace}\u0001`, 'utf8');
}

/** The ledger key in a state key. */
export function ledgerKey(namespace: string, key: Uint8Array): string {
  const prefix = Buffer.byteLength(namespace, 'utf8') + 2;
  return Buffer.from(key.subarray(prefix)).toString('utf8');
}

export function encodeStateValue(version: Version, value: Uint8Array): Buffer {
  return Buffer.concat([encodeVersion(version), value]);
}

export function decodeStateValue(bytes: Buffer): VersionedValue {
  return { version: decodeVersion(bytes), value: bytes.subarray(VERSION_BYTES) };
}

/** Prefix of a key's history; its length is in it because keys may contain each other. */
export function historyPrefix(namespace: string, key: string): Buffer {
  const name = Buffer.from(`${namespace}\u0000${key}`, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  return Buffer.concat([Buffer.from(PREFIX.history), length, name]);
}

export function historyKey(prefix: Buffer, version: Version): Buffer {
  return Buffer.concat([prefix, encodeVersion(version)]);
}

export function transactionKey(transactionId: string): Buffer {
  return Buffer.from(`${PREFIX.transaction}${transactionId}`, 'utf8');
}

export function encodeTransactionRecord(record: TransactionRecord): Buffer {
  return Buffer.concat([encodeVersion(record), Buffer.from([record.code])]);
}

export function decodeTransactionRecord(bytes: Buffer): TransactionRecord {
  return { ...decodeVersion(bytes), code: bytes.readUInt8(VERSION_BYTES) };
}

export function blockKey(number: number): Buffer {
  return Buffer.concat([Buffer.from(PREFIX.block), encodeNumber(number)]);
}

/** Prefix of the keys of what expires with a block. */
export function expiryPrefix(block: number): Buffer {
  return Buffer.concat([Buffer.from(PREFIX.expiry), encodeNumber(block)]);
}

function encodeNumber(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}

export function encodeVersion(version: Version): Buffer {
  const bytes = Buffer.alloc(VERSION_BYTES);
  bytes.writeBigUInt64BE(BigInt(version.block), 0);
  bytes.writeUInt32BE(version.transaction, 8);
  return bytes;
}

function decodeVersion(bytes: Buffer): Version {
  return { block: Number(bytes.readBigUInt64BE(0)), transaction: bytes.readUInt32BE(8) };
}
