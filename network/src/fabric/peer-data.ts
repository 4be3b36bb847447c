// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeLayout } from './layout.js';

/** Chaincode packages that were installed: what a peer cannot get again from the channel. */
export const installedPackages = (peer: NodeLayout): string => join(peer.data, 'lifecycle', 'chaincodes');

/** Snapshots of ledgers, below the peer's data. */
export const completedSnapshots = (peer: NodeLayout, channel: string): string =>
  join(peer.data, 'snapshots', 'completed', channel);

/** Deletes what the external builder made of the installed packages; the peer has it made anew at its next start. */
export async function removeBuilds(peer: NodeLayout): Promise<void> {
  await rm(join(peer.data, 'externalbuilder'), { recursive: true, force: true });
}

/** Deletes a peer's ledgers and what belongs to them; packages and completed snapshots stay. The peer must be down. */
export async function removeLedgers(peer: NodeLayout): Promise<void> {
  const names = existsSync(peer.data) ? await readdir(peer.data) : [];
  for (const name of names.filter((entry) => !['lifecycle', 'snapshots'].includes(entry))) {
    await rm(join(peer.data, name), { recursive: true, force: true });
  }
}
