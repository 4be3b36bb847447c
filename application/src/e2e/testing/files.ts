// SPDX-License-Identifier: Apache-2.0
import { open } from 'node:fs/promises';

/** Changes one bit of a file for as long as something is done. */
export async function withChangedByte<T>(path: string, position: number, work: () => Promise<T>): Promise<T> {
  await flip(path, position);
  try {
    return await work();
  } finally {
    await flip(path, position);
  }
}

async function flip(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, position);
    await file.write(Buffer.from([byte[0]! ^ 1]), 0, 1, position);
  } finally {
    await file.close();
  }
}

/** A block in a block file: where its bytes lie, without the length before them. */
export interface BlockPlace {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
}

/** Places of the blocks in a block file: each block after its length as a varint. */
export function blocksIn(content: Buffer): BlockPlace[] {
  const blocks: BlockPlace[] = [];
  for (let offset = 0; offset < content.length;) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = content[offset]!;
      offset += 1;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        break;
      }
    }
    blocks.push({ number: blocks.length, offset, length });
    offset += length;
  }
  return blocks;
}
