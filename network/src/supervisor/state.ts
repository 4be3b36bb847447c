// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { syncDirectory, writeFileAtomic } from '../durable.js';
import { NetworkError, systemErrorCode } from '../errors.js';
import { planPorts, type PortOffset } from '../topology/ports.js';
import type { Topology } from '../topology/schema.js';
import { formatJson, JsonFileError, readJson } from './json.js';
import type { NetworkPaths } from './paths.js';

const SCHEMA_VERSION = 1;
const kindOf = (paths: NetworkPaths) => `sev-${paths.kind}-network` as const;

const ports = z.object({
  gateway: z.int(),
  ca: z.int(),
  chaincode: z.int(),
  peerOperations: z.int().optional(),
  caOperations: z.int().optional(),
  orderer: z.int().optional(),
  ordererAdmin: z.int().optional(),
  ordererOperations: z.int().optional(),
});
const marker = z.object({ kind: z.enum(['sev-embedded-network', 'sev-fabric-network']), schemaVersion: z.int() });
/** What a state directory's description holds. */
export const stateSchema = marker.extend({
  schemaVersion: z.literal(SCHEMA_VERSION),
  name: z.string(),
  channel: z.string(),
  organisations: z.array(z.object({ name: z.string(), mspId: z.string() })),
  /** Topology file that it was brought up with. */
  topologyFile: z.string().optional(),
  /** Names of the organisations whose nodes run from here; all of them where it is missing. */
  members: z.array(z.string()).optional(),
  portPlan: z.object({
    offset: z.union([z.int(), z.literal('ephemeral')]),
    ports: z.record(z.string(), ports),
  }),
  createdAtMs: z.int(),
});

/** What a state directory says about itself. */
export type NetworkState = Readonly<z.infer<typeof stateSchema>>;

const CLEAN_HINT = 'bring it up with the topology it was made for, or delete it with clean';

function foreign(paths: NetworkPaths, detail: string, cause?: unknown): NetworkError {
  return new NetworkError('STATE_FOREIGN', `${paths.state} ${detail}`, { cause });
}

/** Entries of a state directory; a write of its first file that was cut short leaves none that count. */
async function entries(paths: NetworkPaths): Promise<string[]> {
  try {
    const names = await readdir(paths.state);
    return names.filter((name) => !name.startsWith(`.${basename(paths.stateFile)}.`));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

/** Reads the state directory's description. @throws NetworkError STATE_FOREIGN when it is not one of this version's */
export async function readState(paths: NetworkPaths): Promise<NetworkState | undefined> {
  if (existsSync(paths.otherState)) {
    throw new NetworkError(
      'STATE_FOREIGN',
      `${paths.otherState} holds a network of another kind; remove it with clean, or choose another home`,
    );
  }
  try {
    const described = await readJson(paths.stateFile, marker);
    if (described === undefined) {
      if ((await entries(paths)).length > 0) {
        throw foreign(paths, 'holds files that are no network state; choose another home');
      }
      return undefined;
    }
    if (described.schemaVersion > SCHEMA_VERSION) {
      throw foreign(
        paths,
        `was written by a newer version (schema ${described.schemaVersion.toString()}, this one knows ${SCHEMA_VERSION.toString()})`,
      );
    }
    if (described.kind !== kindOf(paths)) {
      throw foreign(paths, `is the state of a ${described.kind}`);
    }
    return await readJson(paths.stateFile, stateSchema);
  } catch (error) {
    if (error instanceof JsonFileError) {
      throw foreign(paths, `has a description that cannot be read: ${error.message}`, error);
    }
    throw error;
  }
}

/** Refuses a state directory that another topology made: its crypto and its ledger would not fit. */
export function checkStateFits(paths: NetworkPaths, state: NetworkState, topology: Topology): void {
  const members = (list: readonly { name: string; mspId: string }[]): string =>
    list.map(({ name, mspId }) => `${name}=${mspId}`).join(', ');
  // Of an organisation by itself only its own entry has to stay: the others come and go.
  const ofHome = <T extends { readonly name: string }>(list: readonly T[]): readonly T[] =>
    list.filter(({ name }) => state.members?.includes(name) ?? true);
  const differs = (
    [
      ['network', state.name, topology.name],
      ['channel', state.channel, topology.channel],
      ['organisations', members(ofHome(state.organisations)), members(ofHome(topology.organisations))],
    ] as const
  ).find(([, stored, asked]) => stored !== asked);
  if (differs !== undefined) {
    const [what, stored, asked] = differs;
    throw foreign(paths, `was made for ${what} "${stored}", not "${asked}"; ${CLEAN_HINT}`);
  }
  if (existsSync(paths.ledger) && !existsSync(paths.crypto)) {
    throw foreign(paths, 'has a ledger but lacks the keys it was made with; delete it with clean');
  }
}

/** Reads or makes the state directory for a topology and settles its ports. @throws NetworkError STATE_FOREIGN, PORT_OFFSET_INVALID */
export async function prepareState(
  paths: NetworkPaths,
  topology: Topology,
  offset: PortOffset | undefined,
  members?: readonly string[],
): Promise<NetworkState> {
  const existing = await readState(paths);
  if (existing !== undefined) {
    checkStateFits(paths, existing, topology);
  }
  const { name, channel, organisations } = topology;
  const runs = members ?? existing?.members;
  // What an organisation by itself has told the others of its addresses stays.
  const settled = existing?.members === undefined ? undefined : existing.portPlan;
  const state: NetworkState = {
    kind: kindOf(paths),
    schemaVersion: SCHEMA_VERSION,
    name,
    channel,
    organisations: organisations.map((organisation) => ({ name: organisation.name, mspId: organisation.mspId })),
    topologyFile: topology.file,
    portPlan: settled ?? (await planPorts(topology, offset, existing?.portPlan, paths.kind)),
    ...(runs === undefined ? {} : { members: [...runs] }),
    createdAtMs: existing?.createdAtMs ?? Date.now(),
  };
  await mkdir(paths.state, { recursive: true, mode: 0o700 });
  await writeFileAtomic(paths.stateFile, formatJson(state));
  return state;
}

/** Prefix of state directories on their way out. */
const DELETED = 'deleted.';

/** Deletes what an earlier `clean` that was cut short left. */
export async function sweepDeleted(paths: NetworkPaths): Promise<void> {
  const names = existsSync(paths.home) ? await readdir(paths.home) : [];
  for (const name of names.filter((candidate) => candidate.startsWith(DELETED))) {
    await rm(join(paths.home, name), { recursive: true, force: true });
  }
}

/**
 * Deletes keys, registrations, ledger and what applications were told, together: one rename takes the state directory
 * out of use, so that never the one is gone and the other still there.
 * @throws NetworkError STATE_FOREIGN when the directory is not ours to delete
 */
export async function deleteState(paths: NetworkPaths): Promise<void> {
  await readState(paths);
  await rm(paths.profile, { force: true });
  if (existsSync(paths.state)) {
    await rename(paths.state, join(paths.home, `${DELETED}${randomBytes(6).toString('hex')}`));
    await syncDirectory(dirname(paths.state));
  }
  await rm(paths.organisations, { recursive: true, force: true });
  await sweepDeleted(paths);
}
