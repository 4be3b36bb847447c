// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { formatJson } from '../supervisor/json.js';
import { asOnlyCommand, type NetworkOptions } from '../supervisor/options.js';
import type { Topology } from '../topology/schema.js';
import { channelFiles, channelFolder, partsIn, writeParts } from './channel-folder.js';
import { checkDistinct, checkParts } from './check-parts.js';
import type { BundleSummary } from './compose.js';
import { inTemporaryFolder, readConfigBlock, type ConfigBlock } from './configtxlator.js';
import { blockHash, connectionProfile } from './connection-profile.js';
import { mspConfiguration } from './enrolment.js';
import { composeGenesis } from './genesis.js';
import { openOrganisation, ownPart, summaryOf } from './organisation-home.js';
import { checkOrganisationRoots, organisationsOf } from './organisation-groups.js';
import { writeOrderers } from './orderers.js';
import { findPrograms, type FabricPrograms } from './programs.js';
import type { PublicPart } from './public-part.js';
import { readSignedPart, type SignedPart } from './signed-part.js';

/** The first place where two documents differ, as a path. */
export function firstDifference(one: unknown, other: unknown, path = ''): string | undefined {
  if (isDeepStrictEqual(one, other)) {
    return undefined;
  }
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
  if (!isObject(one) || !isObject(other)) {
    return path;
  }
  for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const difference = firstDifference(one[key], other[key], path === '' ? key : `${path}.${key}`);
    if (difference !== undefined) {
      return difference;
    }
  }
  return undefined;
}

/** The parts of a bundle are this organisation's own, unchanged, and those that others handed over by themselves. */
function checkExchanged(bundle: readonly SignedPart[], exchanged: readonly SignedPart[], own: SignedPart): void {
  for (const { part } of [own, ...exchanged]) {
    const within = bundle.find((signed) => signed.part.name === part.name);
    if (within === undefined) {
      throw new NetworkError('BUNDLE_INVALID', `the bundle lacks the part of ${part.name}`);
    }
    const difference = firstDifference(within.part, part);
    if (difference !== undefined) {
      throw new NetworkError(
        'BUNDLE_INVALID',
        `the part of ${part.name} in the bundle is not the one that ${part.name} handed out: ${difference} differs`,
      );
    }
  }
}

/** A founding bundle: whoever composed the block, this organisation composes the same from the same parts. */
async function checkFounding(
  programs: FabricPrograms,
  topology: Topology,
  block: ConfigBlock,
  parts: readonly PublicPart[],
): Promise<void> {
  const meant = await inTemporaryFolder(async (file) => {
    const genesis = await composeGenesis(programs, file('meant'), topology, parts, mspConfiguration());
    return readConfigBlock(programs, genesis);
  });
  const difference = firstDifference(block, meant);
  if (difference !== undefined) {
    throw new NetworkError(
      'BUNDLE_INVALID',
      `the genesis block does not come from these parts and ${topology.file}: ${difference} differs`,
    );
  }
}

/** A joining bundle: the running channel has this organisation and those whose parts are there, with the same roots. */
function checkJoining(topology: Topology, { channel, config }: ConfigBlock, parts: readonly PublicPart[]): void {
  if (channel !== topology.channel) {
    throw new NetworkError('BUNDLE_INVALID', `the bundle is of channel ${channel}, not ${topology.channel}`);
  }
  checkDistinct(parts);
  const mspIds = organisationsOf(config);
  const unknown = mspIds.filter((mspId) => !parts.some((part) => part.mspId === mspId));
  if (unknown.length > 0) {
    throw new NetworkError('BUNDLE_INVALID', `the bundle lacks the part of ${unknown.join(', ')}`);
  }
  for (const part of parts.filter(({ mspId }) => mspIds.includes(mspId))) {
    checkOrganisationRoots(config, part);
  }
}

async function readGenesis(file: string): Promise<Buffer> {
  if (!existsSync(file)) {
    throw new NetworkError('BUNDLE_INVALID', `${file} is missing`);
  }
  return readFile(file);
}

/**
 * Checks a bundle and, where everything in it is right, puts it into the organisation's home, which may then be brought
 * up. Doing it again changes nothing.
 *
 * @param bundle folder
 * @param exchanged parts that other organisations handed over by themselves, to be compared with those in the bundle
 * @throws NetworkError BUNDLE_INVALID, PART_INVALID; STATE_FOREIGN where the home is in another channel
 */
export async function acceptBundle(
  bundle: string,
  exchanged: readonly string[] = [],
  options: NetworkOptions = {},
): Promise<BundleSummary> {
  const programs = await findPrograms();
  const { member, topology, state } = await openOrganisation(options);
  const own = await ownPart(member);
  const from = channelFiles(bundle);
  const genesis = await readGenesis(from.genesis);
  const signed = await partsIn(bundle);
  checkExchanged(signed, await Promise.all(exchanged.map(readSignedPart)), own);
  const isJoining = existsSync(from.config);
  const config = isJoining ? await readFile(from.config) : undefined;
  let parts = signed.map(({ part }) => part);
  options.onProgress?.('checking the bundle');
  const first = await readConfigBlock(programs, genesis);
  const newest = config === undefined ? first : await readConfigBlock(programs, config);
  if (config === undefined) {
    parts = checkParts(topology, state.portPlan.ports, parts);
    await checkFounding(programs, topology, first, parts);
  } else {
    if (first.channel !== newest.channel) {
      throw new NetworkError(
        'BUNDLE_INVALID',
        `the blocks are of two channels, ${first.channel} and ${newest.channel}`,
      );
    }
    checkJoining(topology, newest, parts);
    const members = organisationsOf(newest.config);
    if (!members.includes(own.part.mspId)) {
      throw new NetworkError('BUNDLE_INVALID', `the channel does not have ${own.part.mspId} yet`);
    }
    parts = parts.filter(({ mspId }) => members.includes(mspId));
  }
  return asOnlyCommand(
    options,
    async (paths) => {
      const folder = channelFolder(paths);
      const to = channelFiles(folder);
      if (existsSync(to.genesis) && !genesis.equals(await readFile(to.genesis))) {
        throw new NetworkError(
          'STATE_FOREIGN',
          `${paths.home} is in the channel with genesis ${blockHash(await readFile(to.genesis))}, not ${blockHash(genesis)}`,
        );
      }
      // One that is in the channel already knows more of it than its beginning.
      if (config !== undefined || !existsSync(to.genesis)) {
        await writeParts(folder, signed);
        if (config !== undefined) {
          await writeFileAtomic(to.config, config);
        }
        await writeOrderers(paths, newest.config, parts);
        await writeFileAtomic(paths.profile, formatJson(connectionProfile(topology, parts, genesis)));
        // The last one: a home with a genesis block has everything else.
        await writeFileAtomic(to.genesis, genesis);
      }
      return {
        folder: resolve(bundle),
        channel: topology.channel,
        genesisHash: blockHash(genesis),
        organisations: parts.map(summaryOf),
      };
    },
    'fabric',
  );
}
