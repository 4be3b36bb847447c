// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { NetworkPaths } from '../supervisor/paths.js';
import { genesisFile } from './genesis.js';
import { readSignedPart, writeSignedPart, type SignedPart } from './signed-part.js';

/** Where a home keeps what it knows of the channel: genesis block, the organisations' public parts. */
export const channelFolder = (paths: NetworkPaths): string => join(paths.state, 'channel');

/** Files of a channel folder, in a home or in a bundle that travels. */
export const channelFiles = (folder: string) => ({
  genesis: genesisFile(folder),
  /** Configuration block by which an organisation joined a running channel: its orderer starts from there. */
  config: join(folder, 'config.block'),
  parts: join(folder, 'parts'),
  part: (name: string) => join(folder, 'parts', `${name}.json`),
});

/** The organisations' parts in a channel folder, by name. @throws NetworkError PART_INVALID */
export async function partsIn(folder: string): Promise<SignedPart[]> {
  const { parts } = channelFiles(folder);
  const names = existsSync(parts) ? (await readdir(parts)).filter((name) => name.endsWith('.json')).sort() : [];
  return Promise.all(names.map((name) => readSignedPart(join(parts, name))));
}

export async function writeParts(folder: string, parts: readonly SignedPart[]): Promise<void> {
  const files = channelFiles(folder);
  await Promise.all(parts.map((signed) => writeSignedPart(files.part(signed.part.name), signed)));
}
