// SPDX-License-Identifier: Apache-2.0
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { appendDurably, ShareLog } from '../share-log.js';

/** Names of the shares that lie in an attempt's folder of shares. */
export function keptShares(directory: string): Promise<string[]> {
  return new ShareLog(directory, appendDurably).names();
}

/** The encrypted share as it lies there. */
export async function shareOnDisk(directory: string, name: string): Promise<Buffer> {
  const bytes = await new ShareLog(directory, appendDurably).read(name);
  if (bytes === undefined) {
    throw new Error(`${directory} holds no ${name}`);
  }
  return bytes;
}

/** Puts other bytes of the same length in a share's place. */
export async function changeShare(directory: string, name: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const before = await shareOnDisk(directory, name);
  for (const fileName of await readdir(directory)) {
    const path = join(directory, fileName);
    const file = await readFile(path);
    const at = file.indexOf(before);
    if (at >= 0) {
      const after = change(Buffer.from(before));
      await writeFile(path, Buffer.concat([file.subarray(0, at), after, file.subarray(at + before.length)]));
    }
  }
}
