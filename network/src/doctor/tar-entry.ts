// SPDX-License-Identifier: Apache-2.0
import { Parser } from 'tar';

/** The content of one file of a tar archive, compressed or not. @throws Error when it is not in it */
export async function readFromTar(archive: Buffer, path: string): Promise<Buffer> {
  const found: Buffer[][] = [];
  await new Promise<void>((resolve, reject) => {
    const parser = new Parser({
      filter: (name) => name === path,
      onReadEntry: (entry) => {
        const chunks: Buffer[] = [];
        found.push(chunks);
        entry.on('data', (chunk: Buffer) => chunks.push(chunk));
      },
    });
    parser.on('end', resolve);
    parser.on('error', reject);
    parser.end(archive);
  });
  const [chunks] = found;
  if (chunks === undefined) {
    throw new Error(`the archive holds no ${path}`);
  }
  return Buffer.concat(chunks);
}
