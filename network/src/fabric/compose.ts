// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { NetworkError } from '../errors.js';
import { topologyFile, type NetworkOptions } from '../supervisor/options.js';
import { networkPaths } from '../supervisor/paths.js';
import { readState } from '../supervisor/state.js';
import { loadTopology } from '../topology/load.js';
import { parsePortOffset, planPorts } from '../topology/ports.js';
import { writeParts } from './channel-folder.js';
import { checkParts } from './check-parts.js';
import { blockHash } from './connection-profile.js';
import { mspConfiguration } from './enrolment.js';
import { composeGenesis } from './genesis.js';
import { summaryOf, type OrganisationSummary } from './organisation-home.js';
import { findPrograms } from './programs.js';
import { readSignedPart } from './signed-part.js';

/** A channel's beginning or state, as it travels: public. */
export interface BundleSummary {
  readonly folder: string;
  readonly channel: string;
  /** Hex hash of the genesis block's header. */
  readonly genesisHash: string;
  readonly organisations: readonly OrganisationSummary[];
}

/** Refuses to mix files with those of another bundle. @throws NetworkError BUNDLE_INVALID */
export async function requireEmpty(folder: string): Promise<void> {
  if (existsSync(folder) && (await readdir(folder)).length > 0) {
    throw new NetworkError('BUNDLE_INVALID', `${folder} is not empty; name a new folder`);
  }
}

/**
 * Founds a channel: makes its genesis block from the public parts of a topology's organisations. Any of them, or
 * anybody, may do it: each checks the bundle before it accepts it.
 *
 * @param partFiles one for each organisation of the topology
 * @param folder for the bundle; new
 * @throws NetworkError PART_INVALID, ORGANISATION_UNKNOWN, ORGANISATION_CONFLICT, BUNDLE_INVALID, PROGRAM_FAILED
 */
export async function composeChannel(
  partFiles: readonly string[],
  folder: string,
  options: NetworkOptions = {},
): Promise<BundleSummary> {
  const programs = await findPrograms();
  const state = await readState(networkPaths(options.home, 'fabric'));
  const topology = loadTopology(topologyFile(options, state?.topologyFile), 'fabric');
  const { ports } = await planPorts(
    topology,
    parsePortOffset(process.env['SEV_PORT_OFFSET']),
    state?.portPlan,
    'fabric',
  );
  await requireEmpty(folder);
  const signed = await Promise.all(partFiles.map(readSignedPart));
  const parts = checkParts(
    topology,
    ports,
    signed.map(({ part }) => part),
  );
  options.onProgress?.(`composing the genesis block of ${topology.channel}`);
  const genesis = await composeGenesis(programs, resolve(folder), topology, parts, mspConfiguration());
  await writeParts(folder, signed);
  return {
    folder: resolve(folder),
    channel: topology.channel,
    genesisHash: blockHash(genesis),
    organisations: parts.map(summaryOf),
  };
}
