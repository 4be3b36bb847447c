// SPDX-License-Identifier: Apache-2.0
import jspb from 'google-protobuf';
import { sha256 } from '../protocol/block.js';
import { encodeOrderPreserving, encodeVarint } from '../protocol/varint.js';
import type { CommittedTransaction } from './transactions.js';

interface FinalWrite {
  readonly namespace: Buffer;
  readonly key: Buffer;
  readonly value: Uint8Array | undefined;
  readonly transaction: number;
}

/**
 * A peer's commit hash: SHA-256 over the validation flags, the block's state updates and the previous commit hash
 * (Fabric `kvLedger.addBlockCommitHash` and `deterministicBytesForPubAndHashUpdates`).
 */
export function commitHash(
  previous: Uint8Array,
  flags: Uint8Array,
  blockNumber: number,
  transactions: readonly CommittedTransaction[],
): Buffer {
  return sha256(encodeVarint(flags.length), flags, updateBytes(blockNumber, transactions), previous);
}

function updateBytes(blockNumber: number, transactions: readonly CommittedTransaction[]): Uint8Array {
  const writer = new jspb.BinaryWriter();
  let namespace: Buffer | undefined;
  for (const write of finalWrites(transactions)) {
    const isFirst = namespace === undefined || !namespace.equals(write.namespace);
    namespace = write.namespace;
    writer.writeMessage(1, write, (current: FinalWrite) => {
      if (isFirst) {
        writer.writeBytes(1, current.namespace);
      }
      writer.writeBytes(3, current.key);
      if (current.value === undefined) {
        writer.writeBool(4, true);
      } else {
        writer.writeBytes(5, current.value);
      }
      writer.writeBytes(
        6,
        Buffer.concat([encodeOrderPreserving(blockNumber), encodeOrderPreserving(current.transaction)]),
      );
    });
  }
  return writer.getResultBuffer();
}

/** The last write to each key, ordered by namespace and key as bytes. */
function finalWrites(transactions: readonly CommittedTransaction[]): FinalWrite[] {
  const last = new Map<string, FinalWrite>();
  transactions.forEach(({ writes }, transaction) => {
    for (const { namespace, key, value } of writes) {
      last.set(`${namespace}\u0000${key}`, {
        namespace: Buffer.from(namespace, 'utf8'),
        key: Buffer.from(key, 'utf8'),
        value,
        transaction,
      });
    }
  });
  return [...last.values()].sort((a, b) => Buffer.compare(a.namespace, b.namespace) || Buffer.compare(a.key, b.key));
}
