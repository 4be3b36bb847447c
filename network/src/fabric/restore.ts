// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { NetworkError, systemErrorCode } from '../errors.js';
import { formatJson, readJson } from '../supervisor/json.js';
import { livingProcess } from '../supervisor/handshake.js';
import { asOnlyCommand, type NetworkOptions } from '../supervisor/options.js';
import { registrarPath, type NetworkPaths } from '../supervisor/paths.js';
import { readState, type NetworkState } from '../supervisor/state.js';
import { loadTopology } from '../topology/load.js';
import { BACKUP_PARTS } from './backup.js';
import { fileHash, filesBelow, unpackBackup, type BackupManifest } from './backup-file.js';
import { CA_CONFIGURATION } from './ca-config.js';
import { channelFolder } from './home.js';
import { organisationLayout } from './layout.js';

export interface RestoreOptions extends NetworkOptions {
  /** Where the home of the organisation's programs goes, by its name; without it, that part is not restored. */
  readonly programs?: ((organisation: string) => string) | undefined;
}

/** What was restored. */
export interface RestoredOrganisation {
  readonly organisation: string;
  readonly createdAtMs: number;
  readonly ledgers: boolean;
  /** Paths that were put in place; those that lay there already, the same as backed up, are left alone. */
  readonly restored: readonly string[];
}

/** A part of a backup, unpacked, and where it goes. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/** Whether a part lies at its place already, every file as it was backed up. */
async function isSame({ from, to }: Move): Promise<boolean> {
  if (!existsSync(to)) {
    return false;
  }
  const isFolder = (await stat(from)).isDirectory();
  if ((await stat(to)).isDirectory() !== isFolder) {
    return false;
  }
  for (const path of isFolder ? await filesBelow(from) : ['']) {
    const [mine, theirs] = [join(from, path), join(to, path)];
    if (!existsSync(theirs) || (await fileHash(mine)) !== (await fileHash(theirs))) {
      return false;
    }
  }
  return true;
}

const caConfiguration = z.looseObject({
  port: z.int().optional(),
  db: z.looseObject({ datasource: z.string() }),
  cafiles: z.array(z.string()).optional(),
  operations: z.looseObject({ listenAddress: z.string() }).optional(),
});

/** A CA's configuration names paths and ports; they are those of the place it is restored to. */
async function relocateCa(folder: string, paths: NetworkPaths, manifest: BackupManifest, state: NetworkState) {
  const source = organisationLayout('', manifest.organisation);
  const target = organisationLayout(paths.state, manifest.organisation);
  const ports = state.portPlan.ports[manifest.organisation];
  const within = (path: string): string => join(folder, path.slice(source.root.length));
  for (const ca of [source.ca, source.tlsCa]) {
    const file = join(within(ca), CA_CONFIGURATION);
    const { port, db, cafiles, operations, ...rest } = caConfiguration.parse(parse(await readFile(file, 'utf8')));
    const document = {
      ...rest,
      db: { ...db, datasource: join(target.caDatabase, 'ca.db') },
      ...(port === undefined ? {} : { port: ports?.ca ?? port }),
      ...(cafiles === undefined ? {} : { cafiles: [join(target.tlsCa, CA_CONFIGURATION)] }),
      ...(operations === undefined
        ? {}
        : { operations: { ...operations, listenAddress: `127.0.0.1:${(ports?.caOperations ?? 0).toString()}` } }),
    };
    await writeFileAtomic(file, stringify(document), 0o600);
  }
}

const knownOrderers = z.looseObject({ orderers: z.array(z.looseObject({ tlsRootFile: z.string() })) });

/** The list of orderers that an organisation by itself keeps names files; they are those of the place it is restored to. */
async function relocateOrderers(channel: string, paths: NetworkPaths): Promise<void> {
  const file = join(channel, 'orderers.json');
  const known = await readJson(file, knownOrderers);
  if (known !== undefined) {
    const orderers = known.orderers.map((orderer) => ({
      ...orderer,
      tlsRootFile: join(channelFolder(paths), 'orderers', basename(orderer.tlsRootFile)),
    }));
    await writeFileAtomic(file, formatJson({ ...known, orderers }));
  }
}

/** The description of the home with the organisation in it. @throws NetworkError STATE_FOREIGN */
async function stateWith(paths: NetworkPaths, manifest: BackupManifest): Promise<NetworkState> {
  const { organisation, state: backedUp } = manifest;
  const present = await readState(paths);
  if (present === undefined) {
    return { ...backedUp, members: [organisation] };
  }
  const isOurs =
    present.name === backedUp.name &&
    present.channel === backedUp.channel &&
    present.organisations.some(({ name }) => name === organisation);
  if (!isOurs) {
    throw new NetworkError(
      'STATE_FOREIGN',
      `${paths.state} holds network "${present.name}" without "${organisation}"; restore into another home`,
    );
  }
  const { members } = present;
  return members === undefined || members.includes(organisation)
    ? present
    : { ...present, members: [...members, organisation] };
}

/** Where the parts of an unpacked backup go; what all organisations share is left alone where it is. */
function movesOf(folder: string, paths: NetworkPaths, manifest: BackupManifest, options: RestoreOptions): Move[] {
  const { organisation } = manifest;
  const from = (part: keyof typeof BACKUP_PARTS): string => join(folder, BACKUP_PARTS[part]);
  const shared = [
    { from: from('channel'), to: channelFolder(paths) },
    { from: from('profile'), to: paths.profile },
  ].filter(({ to }) => !existsSync(to));
  const programs = options.programs?.(organisation);
  return [
    ...shared,
    { from: from('registrar'), to: registrarPath(paths, organisation) },
    ...(programs === undefined ? [] : [{ from: from('programs'), to: programs }]),
    // Last: with it in place the restoration is done.
    { from: from('organisation'), to: organisationLayout(paths.state, organisation).root },
  ].filter(({ from: part }) => existsSync(part));
}

/**
 * Restores an organisation from a backup into a home that does not hold it: an empty one, or one from which it was lost.
 * What lies there already, the same as backed up, is left alone, so a restoration that was cut short goes on. Nothing is
 * ever overwritten. `network up` then starts its nodes; without ledgers in the backup they get the blocks from the others.
 *
 * @throws NetworkError BACKUP_INVALID; NETWORK_RUNNING; ALREADY_EXISTS naming what is in the way; STATE_FOREIGN
 */
export async function restoreOrganisation(file: string, options: RestoreOptions = {}): Promise<RestoredOrganisation> {
  return asOnlyCommand(
    options,
    async (paths) => {
      if ((await livingProcess(paths)) !== undefined) {
        throw new NetworkError('NETWORK_RUNNING', `the network in ${paths.home} is running; stop it first`);
      }
      await mkdir(paths.home, { recursive: true, mode: 0o700 });
      const folder = await mkdtemp(join(paths.home, 'restoring.'));
      try {
        const manifest = await unpackBackup(file, folder);
        const state = await stateWith(paths, manifest);
        await relocateCa(join(folder, BACKUP_PARTS.organisation), paths, manifest, state);
        await relocateOrderers(join(folder, BACKUP_PARTS.channel), paths);
        const moves = movesOf(folder, paths, manifest, options);
        const missing: Move[] = [];
        for (const move of moves) {
          if (!(await isSame(move))) {
            missing.push(move);
          }
        }
        const inTheWay = missing.find(({ to }) => existsSync(to));
        if (inTheWay !== undefined) {
          throw new NetworkError(
            'ALREADY_EXISTS',
            `${inTheWay.to} is there already and differs from the backup; move it away first`,
          );
        }
        await writeDescription(paths, state, join(folder, BACKUP_PARTS.topology));
        for (const { from, to } of missing) {
          await mkdir(dirname(to), { recursive: true, mode: 0o700 });
          await moveInto(from, to);
        }
        const { organisation, createdAtMs, ledgers } = manifest;
        return { organisation, createdAtMs, ledgers, restored: missing.map(({ to }) => to) };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    'fabric',
  );
}

/** Moves a part to its place, whole or not at all, also to another disk. */
async function moveInto(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (systemErrorCode(error) !== 'EXDEV') {
      throw error;
    }
    const copy = `${to}.part`;
    await rm(copy, { recursive: true, force: true });
    await cp(from, copy, { recursive: true });
    await rename(copy, to);
  }
}

/** Writes the home's description, and the topology file where the one that it was brought up with is gone. */
async function writeDescription(paths: NetworkPaths, state: NetworkState, topology: string): Promise<void> {
  await mkdir(paths.state, { recursive: true, mode: 0o700 });
  const { topologyFile } = state;
  if (topologyFile === undefined || existsSync(topologyFile)) {
    await writeFileAtomic(paths.stateFile, formatJson(state));
    return;
  }
  const copy = join(paths.state, 'topology.yaml');
  await writeFileAtomic(copy, await readFile(topology, 'utf8'));
  loadTopology(copy, 'fabric');
  await writeFileAtomic(paths.stateFile, formatJson({ ...state, topologyFile: copy }));
}
