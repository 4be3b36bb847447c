// SPDX-License-Identifier: Apache-2.0
import { sha256 } from './block-hash.js';

/** The last write of a block to one key. */
export interface FinalWrite {
  readonly namespace: string;
  /** Empty for public state. */
  readonly collection: string;
  /** UTF-8 of a public key, or the hash of a private one. */
  readonly key: Uint8Array;
  /** Undefined for a deletion. */
  readonly value: Uint8Array | undefined;
  readonly transaction: number;
}

/**
 * The running hash with which every peer can compare its state after a block: SHA-256 over the count of validation
 * codes (varint) ‖ the codes ‖ the block's writes ‖ the previous hash (Fabric, kv_ledger.go `addBlockCommitHash`,
 * txmgr/update_batch_bytes.go). The writes are protobuf messages Updates { repeated KVWrite kvwrites = 1 } in the order
 * of namespace, collection, key; a namespace or collection is named once, at its first write.
 */
export function commitHash(
  previous: Uint8Array,
  codes: Uint8Array,
  block: number,
  writes: readonly FinalWrite[],
): Buffer {
  return sha256(varint(codes.length), codes, updates(block, writes), previous);
}

function updates(block: number, writes: readonly FinalWrite[]): Buffer {
  // The channel's configuration (empty namespace) is left out: its encoding is not deterministic.
  const sorted = writes.filter((write) => write.namespace !== '').sort(order);
  let namespace = '';
  let collection = '';
  const messages = sorted.map((write) => {
    const parts: Buffer[] = [];
    if (write.namespace !== namespace) {
      parts.push(field(1, Buffer.from(write.namespace)));
      namespace = write.namespace;
      collection = '';
    }
    if (write.collection !== collection) {
      parts.push(field(2, Buffer.from(write.collection)));
      collection = write.collection;
    }
    if (write.key.length > 0) {
      parts.push(field(3, write.key));
    }
    if (write.value === undefined) {
      parts.push(Buffer.from([(4 << 3) | 0, 1]));
    } else if (write.value.length > 0) {
      parts.push(field(5, write.value));
    }
    parts.push(field(6, Buffer.concat([orderPreserving(block), orderPreserving(write.transaction)])));
    return field(1, Buffer.concat(parts));
  });
  return Buffer.concat(messages);
}

function order(a: FinalWrite, b: FinalWrite): number {
  return (
    Buffer.compare(Buffer.from(a.namespace), Buffer.from(b.namespace)) ||
    Buffer.compare(Buffer.from(a.collection), Buffer.from(b.collection)) ||
    Buffer.compare(a.key, b.key)
  );
}

/** A length-delimited protobuf field. */
function field(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    bytes.push((rest % 0x80) | 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

/** Count of significant bytes, then these bytes, big-endian (Fabric, `EncodeOrderPreservingVarUint64`). */
function orderPreserving(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) {
    bytes.unshift(rest % 256);
  }
  return Buffer.from([bytes.length, ...bytes]);
}
