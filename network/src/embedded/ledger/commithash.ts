// SPDX-License-Identifier: Apache-2.0
import jspb from 'google-protobuf';
import { sha256 } from '../protocol/block.js';
import { encodeOrderPreserving, encodeVarint } from '../protocol/varint.js';
import type { BlockUpdates, StateUpdate } from './updates.js';

type Entry = StateUpdate & { readonly space: Buffer; readonly bytes: Buffer };

/**
 * A peer's commit hash: SHA-256 over the validation flags, the block's state updates and the previous commit hash
 * (Fabric `kvLedger.addBlockCommitHash` and `deterministicBytesForPubAndHashUpdates`).
 */
export function commitHash(previous: Uint8Array, flags: Uint8Array, updates: BlockUpdates): Buffer {
  return sha256(encodeVarint(flags.length), flags, updateBytes(updates), previous);
}

function updateBytes(updates: BlockUpdates): Uint8Array {
  const writer = new jspb.BinaryWriter();
  let before: Entry | undefined;
  for (const update of sorted(updates)) {
    const isNewNamespace = before?.namespace !== update.namespace;
    const isNewCollection = isNewNamespace || before?.collection !== update.collection;
    before = update;
    writer.writeMessage(1, update, ({ namespace, collection, bytes, value, version }: Entry) => {
      if (isNewNamespace) {
        writer.writeString(1, namespace);
      }
      if (isNewCollection && collection !== '') {
        writer.writeString(2, collection);
      }
      writer.writeBytes(3, bytes);
      if (value === undefined) {
        writer.writeBool(4, true);
      } else {
        writer.writeBytes(5, value);
      }
      const height = [encodeOrderPreserving(version.block), encodeOrderPreserving(version.transaction)];
      writer.writeBytes(6, Buffer.concat(height));
    });
  }
  return writer.getResultBuffer();
}

/** Ordered by namespace, collection and key as bytes. */
function sorted(updates: BlockUpdates): Entry[] {
  return [...updates.all()]
    .map((update) => ({
      ...update,
      space: Buffer.from(`${update.namespace}\u0000${update.collection}`, 'utf8'),
      bytes: Buffer.from(update.key, update.collection === '' ? 'utf8' : 'base64'),
    }))
    .sort((a, b) => Buffer.compare(a.space, b.space) || Buffer.compare(a.bytes, b.bytes));
}
