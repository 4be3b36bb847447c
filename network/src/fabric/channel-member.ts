// SPDX-License-Identifier: Apache-2.0
import { NetworkError } from '../errors.js';
import { livingProcess } from '../supervisor/handshake.js';
import type { NetworkOptions } from '../supervisor/options.js';
import type { OrganisationAdmin } from './admin.js';
import { channelFolder, partsIn } from './channel-folder.js';
import type { ChannelConfig } from './config-document.js';
import { channelContext, type ChannelContext } from './config-update.js';
import { openFabricHome, type FabricHome } from './home.js';
import { organisationsOf } from './organisation-groups.js';
import { onlyMember } from './organisation-home.js';
import type { PublicPart } from './public-part.js';

/** The running home of one organisation that is in the channel. */
export interface MemberHome {
  readonly home: FabricHome;
  readonly admin: OrganisationAdmin;
  readonly context: ChannelContext;
  readonly folder: string;
}

/** @throws NetworkError NOT_SUPPORTED, NETWORK_NOT_RUNNING */
export async function openMember(options: NetworkOptions): Promise<MemberHome> {
  const home = await openFabricHome(options);
  const { paths, topology, state } = home;
  onlyMember(paths, topology, state);
  const [admin] = home.admins;
  if (admin === undefined || (await livingProcess(paths)) === undefined) {
    throw new NetworkError('NETWORK_NOT_RUNNING', `the network in ${paths.home} is not running; bring it up first`);
  }
  return { home, admin, context: channelContext(home), folder: channelFolder(paths) };
}

/** The public parts that the home knows. */
export const partsOf = async (folder: string): Promise<PublicPart[]> => (await partsIn(folder)).map(({ part }) => part);

/** The MSP id of an organisation in a channel, by its name or MSP id. @throws NetworkError ORGANISATION_UNKNOWN */
export async function mspIdOf(folder: string, config: ChannelConfig, organisation: string): Promise<string> {
  const members = organisationsOf(config);
  const named = (await partsOf(folder)).find(({ name }) => name === organisation)?.mspId ?? organisation;
  if (!members.includes(named)) {
    throw new NetworkError(
      'ORGANISATION_UNKNOWN',
      `the channel has no organisation ${organisation}, only ${members.join(', ')}`,
    );
  }
  return named;
}
