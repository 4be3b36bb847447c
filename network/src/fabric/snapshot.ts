// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { cp, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { NetworkError } from '../errors.js';
import { controlNetwork } from '../supervisor/control.js';
import { readJson } from '../supervisor/json.js';
import { asOnlyCommand, type NetworkOptions } from '../supervisor/options.js';
import { poll } from '../supervisor/poll.js';
import type { OrganisationAdmin } from './admin.js';
import { channelHeight, joinPeer } from './channel.js';
import { awaitGateway } from './gateway-probe.js';
import { genesisFile } from './genesis.js';
import { adminOf, channelFolder, openFabricHome, type FabricHome } from './home.js';
import { mspFiles, type Member } from './layout.js';
import { completedSnapshots, installedPackages, removeBuilds, removeLedgers } from './peer-data.js';
import { peerAddress } from './peer-config.js';

const SNAPSHOT_DEADLINE_MS = 120_000;
const JOIN_DEADLINE_MS = 120_000;

/** Written last into a snapshot's folder. */
const METADATA = '_snapshot_signable_metadata.json';
const metadataSchema = z.object({
  channel_name: z.string(),
  last_block_number: z.int(),
  last_block_hash: z.string(),
});

/** A peer's ledger at a block: its state, without the blocks. */
export interface Snapshot {
  readonly folder: string;
  readonly lastBlock: number;
  /** Hex; the same on every peer. */
  readonly lastBlockHash: string;
}

/** Reads what a snapshot is of. @throws NetworkError SNAPSHOT_INVALID */
export async function readSnapshot(folder: string, channel: string): Promise<Snapshot> {
  const metadata = await readJson(join(folder, METADATA), metadataSchema).catch((error: unknown) => {
    throw new NetworkError('SNAPSHOT_INVALID', `${folder} is no ledger snapshot: ${String(error)}`, { cause: error });
  });
  if (metadata === undefined) {
    throw new NetworkError('SNAPSHOT_INVALID', `${folder} is no ledger snapshot: it has no ${METADATA}`);
  }
  if (metadata.channel_name !== channel) {
    throw new NetworkError('SNAPSHOT_INVALID', `${folder} is of channel ${metadata.channel_name}, not ${channel}`);
  }
  return { folder: resolve(folder), lastBlock: metadata.last_block_number, lastBlockHash: metadata.last_block_hash };
}

async function newestSnapshot({ layout }: Member, channel: string): Promise<Snapshot | undefined> {
  const folder = completedSnapshots(layout.peer, channel);
  const numbers = existsSync(folder) ? (await readdir(folder)).map(Number).sort((one, other) => other - one) : [];
  const [newest] = numbers;
  return newest === undefined ? undefined : readSnapshot(join(folder, newest.toString()), channel);
}

/**
 * Has an organisation's peer make a snapshot of its ledger as it stands, while it runs.
 * @param copyTo folder to copy it to, which must not be there
 * @throws NetworkError ORGANISATION_UNKNOWN; ALREADY_EXISTS; PROGRAM_FAILED
 */
export async function takeSnapshot(
  organisation: string,
  { copyTo, ...options }: NetworkOptions & { readonly copyTo?: string | undefined } = {},
): Promise<Snapshot> {
  if (copyTo !== undefined && existsSync(copyTo)) {
    throw new NetworkError('ALREADY_EXISTS', `${copyTo} is there already; name another folder`);
  }
  const home = await openFabricHome(options);
  const admin = adminOf(home, organisation);
  const { member } = admin;
  const { channel } = home.topology;
  const height = await channelHeight(member.ports.peerOperations ?? 0, channel);
  if (height === undefined) {
    throw new NetworkError('NETWORK_NOT_RUNNING', `the peer of ${organisation} does not answer; bring it up first`);
  }
  const present = await newestSnapshot(member, channel);
  if (present?.lastBlock !== height - 1) {
    const target = [
      '--peerAddress',
      peerAddress(member),
      '--tlsRootCertFile',
      mspFiles(member.layout.channelMsp).tlsCa,
    ];
    await admin.peer(['snapshot', 'submitrequest', '--channelID', channel, '--blockNumber', '0', ...target]);
  }
  const snapshot = await poll(async () => {
    const newest = await newestSnapshot(member, channel);
    return newest !== undefined && newest.lastBlock >= height - 1 ? newest : undefined;
  }, SNAPSHOT_DEADLINE_MS);
  if (snapshot === undefined) {
    throw new NetworkError('PROGRAM_FAILED', `the peer of ${organisation} made no snapshot in time; see its log`);
  }
  if (copyTo === undefined) {
    return snapshot;
  }
  await cp(snapshot.folder, copyTo, { recursive: true });
  return { ...snapshot, folder: resolve(copyTo) };
}

/** Joins an empty peer to the channel by a snapshot, and waits until it has it. */
async function joinBySnapshot(admin: OrganisationAdmin, channel: string, snapshot: Snapshot): Promise<void> {
  await admin.peer(['channel', 'joinbysnapshot', '--snapshotpath', snapshot.folder]);
  const { peerOperations } = admin.member.ports;
  const joined = await poll(async () => {
    const height = await channelHeight(peerOperations ?? 0, channel);
    return height !== undefined && height > snapshot.lastBlock ? true : undefined;
  }, JOIN_DEADLINE_MS);
  if (joined === undefined) {
    const { name } = admin.member.organisation;
    throw new NetworkError('PROGRAM_FAILED', `the peer of ${name} did not take the snapshot; see its log`);
  }
}

/** Empties a peer's ledgers while it is down, and starts it again. */
async function restartEmpty({ paths }: FabricHome, { organisation, layout }: Member): Promise<void> {
  const peer = `peer.${organisation.name}`;
  await controlNetwork(paths, { action: 'stop', nodes: [peer] });
  await removeLedgers(layout.peer);
  await removeBuilds(layout.peer);
  await controlNetwork(paths, { action: 'restart', nodes: [peer] });
}

/**
 * Rebuilds an organisation's peer: its ledger is deleted and made anew, from a snapshot of another peer's or from all
 * blocks. The installed chaincode packages stay. The peer holds no block from before its snapshot, so whoever reads the
 * whole chain has to ask another peer.
 *
 * @param snapshot folder of a snapshot; default: all blocks from the orderers
 * @returns the snapshot, if one was used
 * @throws NetworkError ORGANISATION_UNKNOWN; SNAPSHOT_INVALID before anything is deleted; NETWORK_NOT_RUNNING;
 *   PROGRAM_FAILED. Done again, it starts from the beginning.
 */
export async function rejoinPeer(
  organisation: string,
  { snapshot: folder, ...options }: NetworkOptions & { readonly snapshot?: string | undefined } = {},
): Promise<Snapshot | undefined> {
  const progress = options.onProgress ?? (() => undefined);
  const home = await openFabricHome(options);
  const admin = adminOf(home, organisation);
  const { topology, paths } = home;
  const snapshot = folder === undefined ? undefined : await readSnapshot(folder, topology.channel);
  const packages = installedPackages(admin.member.layout.peer);
  if (!existsSync(packages)) {
    throw new NetworkError(
      'STATE_FOREIGN',
      `${packages} is missing: the peer would have no chaincode; restore it first`,
    );
  }
  return asOnlyCommand(options, async () => {
    progress(`${organisation}: emptying the peer's ledger`);
    await restartEmpty(home, admin.member);
    if (snapshot === undefined) {
      progress(`${organisation}: joining from the first block`);
      await joinPeer(admin, genesisFile(channelFolder(paths)));
    } else {
      progress(`${organisation}: joining from block ${(snapshot.lastBlock + 1).toString()}`);
      await joinBySnapshot(admin, topology.channel, snapshot);
    }
    progress(`${organisation}: waiting until its gateway reaches a majority`);
    await awaitGateway(admin.member, topology.channel, topology.chaincode.name);
    return snapshot;
  });
}
