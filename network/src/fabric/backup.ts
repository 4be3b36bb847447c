// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { NetworkError } from '../errors.js';
import { livingProcess } from '../supervisor/handshake.js';
import { asOnlyCommand, type NetworkOptions } from '../supervisor/options.js';
import { registrarPath, type NetworkPaths } from '../supervisor/paths.js';
import { packBackup, type BackupManifest } from './backup-file.js';
import { copyDatabase } from './database-copy.js';
import { adminOf, channelFolder, openFabricHome, type FabricHome } from './home.js';
import { installedPackages } from './peer-data.js';
import type { OrganisationLayout } from './layout.js';

/** Names within a backup; what is restored goes where these stood. */
export const BACKUP_PARTS = {
  /** Keys, certificates and configuration of its nodes, the CA's database, chaincode packages. */
  organisation: 'organisation',
  registrar: 'registrar.json',
  /** The home of its programs: wallets, signing keys. */
  programs: 'programs',
  /** The channel's genesis block and what it was made of. */
  channel: 'channel',
  profile: 'connection.json',
  topology: 'topology.yaml',
} as const;

export interface BackupOptions extends NetworkOptions {
  /** The ledgers too. Without them the peer and the orderer get all blocks again from the others. */
  readonly ledgers?: boolean;
  /** Home of the organisation's programs, with its wallets. */
  readonly programs?: string | undefined;
}

/** What an organisation's folder holds that is not backed up: what is made anew, and the ledgers. */
function isLeftOut(layout: OrganisationLayout, ledgers: boolean): (path: string) => boolean {
  const builds = join(layout.peer.data, 'externalbuilder');
  const always = new Set([layout.logs, layout.pids, builds, layout.caDatabase]);
  const packages = installedPackages(layout.peer);
  return (path) => {
    if (always.has(path)) {
      return true;
    }
    if (ledgers) {
      return false;
    }
    const isPeerData = path.startsWith(`${layout.peer.data}/`);
    // The packages, and the folders that lead to them.
    const leadsToPackages = path.startsWith(packages) || packages.startsWith(`${path}/`);
    return path === layout.orderer.data || (isPeerData && !leadsToPackages);
  };
}

async function copyParts(
  home: FabricHome,
  layout: OrganisationLayout,
  folder: string,
  options: BackupOptions & { readonly organisation: string },
): Promise<void> {
  const { paths, topology } = home;
  const part = (name: keyof typeof BACKUP_PARTS): string => join(folder, BACKUP_PARTS[name]);
  const leaveOut = isLeftOut(layout, options.ledgers === true);
  await cp(layout.root, part('organisation'), { recursive: true, filter: (path) => !leaveOut(path) });
  const database = join(part('organisation'), relative(layout.root, layout.caDatabase));
  await mkdir(database, { recursive: true, mode: 0o700 });
  await copyDatabase(join(layout.caDatabase, 'ca.db'), join(database, 'ca.db'));
  await copyFile(registrarPath(paths, options.organisation), part('registrar'));
  await writeFile(part('topology'), await portableTopology(topology));
  await cp(channelFolder(paths), part('channel'), { recursive: true });
  if (existsSync(paths.profile)) {
    await copyFile(paths.profile, part('profile'));
  }
  if (options.programs !== undefined && existsSync(options.programs)) {
    await cp(options.programs, part('programs'), { recursive: true });
  }
}

/** The topology file as it can be read from any folder. */
async function portableTopology({ file, chaincode }: FabricHome['topology']): Promise<string> {
  const document = parseDocument(await readFile(file, 'utf8'));
  document.setIn(['chaincode', 'path'], chaincode.path);
  return document.toString();
}

async function checkMayBackUp(paths: NetworkPaths, file: string, ledgers: boolean): Promise<void> {
  if (existsSync(file)) {
    throw new NetworkError('ALREADY_EXISTS', `${file} is there already; name another file`);
  }
  if (ledgers && (await livingProcess(paths)) !== undefined) {
    throw new NetworkError(
      'NETWORK_RUNNING',
      'ledgers are backed up while their nodes are down; stop the network first',
    );
  }
}

/**
 * Backs an organisation up into one file (tar, for its owner only): keys and certificates, the CA with its database and
 * registrar, wallets, installed chaincode packages, and what it takes to bring its nodes up again. It may run meanwhile;
 * for the ledgers, which are big and which the other organisations hold too, it must be down.
 *
 * @throws NetworkError ORGANISATION_UNKNOWN; ALREADY_EXISTS; NETWORK_RUNNING
 */
export async function backupOrganisation(
  organisation: string,
  file: string,
  options: BackupOptions = {},
): Promise<BackupManifest> {
  const target = resolve(file);
  const ledgers = options.ledgers === true;
  return asOnlyCommand(options, async (paths) => {
    const home = await openFabricHome(options);
    const { layout } = adminOf(home, organisation).member;
    await checkMayBackUp(paths, target, ledgers);
    await mkdir(dirname(target), { recursive: true });
    // On the same disk as the file, and closed to others: there are keys in it.
    const folder = await mkdtemp(join(dirname(target), `.${basename(target)}.`));
    try {
      await copyParts(home, layout, folder, { ...options, organisation });
      const { state } = home;
      return await packBackup(folder, { organisation, ledgers, createdAtMs: Date.now(), state }, target);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}
