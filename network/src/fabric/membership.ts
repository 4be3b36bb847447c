// SPDX-License-Identifier: Apache-2.0
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { formatJson } from '../supervisor/json.js';
import type { NetworkOptions } from '../supervisor/options.js';
import type { ConnectionProfile } from '../supervisor/profile.js';
import { channelFiles, partsIn, writeParts } from './channel-folder.js';
import { openMember, type MemberHome } from './channel-member.js';
import { requireEmpty, type BundleSummary } from './compose.js';
import { fetchChannelConfig } from './config-update.js';
import { readConfigBlock } from './configtxlator.js';
import { blockHash, connectionProfile } from './connection-profile.js';
import { checkOrganisationRoots, organisationsOf } from './organisation-groups.js';
import { summaryOf } from './organisation-home.js';
import { writeOrderers } from './orderers.js';
import { readSignedPart, type SignedPart } from './signed-part.js';

/** Brings the home's profile and list of orderers in line with the channel. */
export async function followChannel({ home, context, folder }: MemberHome): Promise<ConnectionProfile> {
  const { paths, topology } = home;
  const { config } = await fetchChannelConfig(context);
  const members = organisationsOf(config);
  const known = await partsIn(folder);
  const missing = members.filter((mspId) => !known.some(({ part }) => part.mspId === mspId));
  if (missing.length > 0) {
    throw new NetworkError(
      'PART_INVALID',
      `the channel has ${missing.join(', ')}, whose public part is not known here; name its file: \`network org refresh part.json\``,
    );
  }
  const parts = known.map(({ part }) => part).filter(({ mspId }) => members.includes(mspId));
  for (const part of parts) {
    checkOrganisationRoots(config, part);
  }
  const genesis = await readFile(channelFiles(folder).genesis);
  const profile = connectionProfile(topology, parts, genesis);
  await writeOrderers(paths, config, parts);
  await writeFileAtomic(paths.profile, formatJson(profile));
  return profile;
}

/**
 * Brings a home's profile in line with the channel after organisations have come or gone.
 * @param partFiles of organisations whose part is not known here yet
 * @throws NetworkError PART_INVALID, BUNDLE_INVALID, NETWORK_NOT_RUNNING
 */
export async function refreshMembership(
  partFiles: readonly string[] = [],
  options: NetworkOptions = {},
): Promise<ConnectionProfile> {
  const given: SignedPart[] = await Promise.all(partFiles.map(readSignedPart));
  const member = await openMember(options);
  await writeParts(member.folder, given);
  return followChannel(member);
}

/**
 * Writes what a newcomer needs to join the running channel: genesis block, newest configuration block, the parts of the
 * present organisations.
 * @param folder for the bundle; new
 * @throws NetworkError BUNDLE_INVALID, NETWORK_NOT_RUNNING, PROGRAM_FAILED
 */
export async function writeJoiningBundle(folder: string, options: NetworkOptions = {}): Promise<BundleSummary> {
  await requireEmpty(folder);
  const member = await openMember(options);
  const { context, admin, home } = member;
  const from = channelFiles(member.folder);
  const to = channelFiles(resolve(folder));
  await mkdir(resolve(folder), { recursive: true });
  await admin.ordered(['channel', 'fetch', 'config', to.config, '--channelID', context.channel]);
  const { config } = await readConfigBlock(home.programs, await readFile(to.config));
  const members = organisationsOf(config);
  const signed = (await partsIn(member.folder)).filter(({ part }) => members.includes(part.mspId));
  await writeParts(folder, signed);
  const profile = connectionProfile(
    home.topology,
    signed.map(({ part }) => part),
    await readFile(from.genesis),
  );
  await writeFileAtomic(join(folder, 'connection.json'), formatJson(profile));
  await copyFile(from.genesis, to.genesis);
  return {
    folder: resolve(folder),
    channel: context.channel,
    genesisHash: blockHash(await readFile(from.genesis)),
    organisations: signed.map(({ part }) => summaryOf(part)),
  };
}
