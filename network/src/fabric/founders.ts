// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import type { NetworkOptions } from '../supervisor/options.js';
import { networkPaths } from '../supervisor/paths.js';
import { readState } from '../supervisor/state.js';
import { channelFiles, channelFolder, partsIn } from './channel-folder.js';
import { readConfigBlock } from './configtxlator.js';
import { organisationsOf } from './organisation-groups.js';
import { findPrograms } from './programs.js';
import type { PublicPart } from './public-part.js';

/** Name of the one organisation whose home this is; nothing for a home that runs a whole network, or none. */
export async function homeOrganisation(options: NetworkOptions = {}): Promise<string | undefined> {
  const state = await readState(networkPaths(options.home));
  return state?.members?.length === 1 ? state.members[0] : undefined;
}

/**
 * The public parts of the organisations that founded the channel, as the genesis block names them, sorted by MSP id: what
 * governance on the ledger begins with.
 */
export async function foundingParts(options: NetworkOptions = {}): Promise<PublicPart[]> {
  const folder = channelFolder(networkPaths(options.home));
  const { config } = await readConfigBlock(await findPrograms(), await readFile(channelFiles(folder).genesis));
  const founders = organisationsOf(config);
  const parts = (await partsIn(folder)).map(({ part }) => part).filter(({ mspId }) => founders.includes(mspId));
  return parts.sort((one, other) => (one.mspId < other.mspId ? -1 : 1));
}
