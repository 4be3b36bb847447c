// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { topologyFile, type NetworkOptions } from '../supervisor/options.js';
import { networkPaths, type NetworkPaths } from '../supervisor/paths.js';
import { loadConnectionProfile, type ConnectionProfile } from '../supervisor/profile.js';
import { readState, type NetworkState } from '../supervisor/state.js';
import { loadTopology } from '../topology/load.js';
import type { Topology } from '../topology/schema.js';
import { organisationAdmin, type OrdererTarget, type OrganisationAdmin } from './admin.js';
import { mspFiles, organisationLayout, type Member } from './layout.js';
import { ordererFor, readOrderers, type KnownOrderers } from './orderers.js';
import { findPrograms, type FabricPrograms } from './programs.js';

/** A home of a native network as its operator's commands work on it. */
export interface FabricHome {
  readonly paths: NetworkPaths;
  readonly topology: Topology;
  readonly state: NetworkState;
  readonly programs: FabricPrograms;
  /** The organisations whose nodes run from here. */
  readonly members: readonly Member[];
  /** Their administrators, in the same order. */
  readonly admins: readonly OrganisationAdmin[];
  /** The channel's orderers, as far as they are known here. */
  readonly orderers: readonly OrdererTarget[];
}

export { channelFolder } from './channel-folder.js';

/** The organisations whose nodes run from a home. */
export function membersOf(paths: NetworkPaths, topology: Topology, state: NetworkState): Member[] {
  const names = state.members ?? topology.organisations.map(({ name }) => name);
  return topology.organisations
    .filter(({ name }) => names.includes(name))
    .map((organisation) => {
      const ports = state.portPlan.ports[organisation.name];
      if (ports === undefined) {
        throw new NetworkError('STATE_FOREIGN', `${paths.stateFile} has no ports for "${organisation.name}"`);
      }
      return { organisation, ports, layout: organisationLayout(paths.state, organisation.name) };
    });
}

function ownOrderers(members: readonly Member[]): OrdererTarget[] {
  return members.flatMap(({ organisation, ports, layout }) =>
    ports.orderer === undefined
      ? []
      : [
          {
            address: `${organisation.host}:${ports.orderer.toString()}`,
            tlsRootFile: mspFiles(layout.channelMsp).tlsCa,
          },
        ],
  );
}

/** The orderer that the home's own commands send to: one of its own, as far as it has one. */
export function ownOrderer(members: readonly Member[]): OrdererTarget | undefined {
  return ownOrderers(members)[0];
}

/** The orderer that the home's commands send to. That of an organisation by itself may not take part in the ordering. */
async function ordererOf(
  known: KnownOrderers | undefined,
  members: readonly Member[],
): Promise<OrdererTarget | undefined> {
  const [member] = members;
  return known === undefined || member === undefined
    ? ownOrderer(members)
    : ordererFor(known, member.organisation.mspId);
}

/**
 * Opens a home that holds a native network.
 * @throws NetworkError NOT_SUPPORTED where the home holds none, and what reading it throws
 */
export async function openFabricHome(options: NetworkOptions = {}): Promise<FabricHome> {
  const paths = networkPaths(options.home);
  const state = paths.kind === 'fabric' ? await readState(paths) : undefined;
  if (state === undefined) {
    throw new NetworkError(
      'NOT_SUPPORTED',
      `${paths.home} holds no Fabric network, which this command is for; bring one up with NETWORK=fabric`,
    );
  }
  const topology = loadTopology(topologyFile(options, state.topologyFile), 'fabric');
  const programs = await findPrograms();
  const members = membersOf(paths, topology, state);
  const known = await readOrderers(paths);
  const orderer = await ordererOf(known, members);
  const admins = members.map((member) => organisationAdmin(programs, member, orderer));
  return { paths, topology, state, programs, members, admins, orderers: known?.orderers ?? ownOrderers(members) };
}

/** The administrator of one of the home's organisations; default: the first. @throws NetworkError ORGANISATION_UNKNOWN */
export function adminOf(home: Pick<FabricHome, 'admins' | 'paths'>, organisation?: string): OrganisationAdmin {
  const { admins, paths } = home;
  const found = admins.find(({ member }) => organisation === undefined || member.organisation.name === organisation);
  if (found === undefined) {
    const known = admins.map(({ member }) => member.organisation.name).join(', ');
    throw new NetworkError(
      'ORGANISATION_UNKNOWN',
      `no nodes of "${organisation ?? ''}" run from ${paths.home}; there are those of ${known}`,
    );
  }
  return found;
}

/** What applications are told of the channel; it names every organisation, those that run elsewhere too. */
export async function profileOf(home: Pick<FabricHome, 'paths'>): Promise<ConnectionProfile> {
  return loadConnectionProfile(home.paths.profile);
}

/** `--peerAddresses … --tlsRootCertFiles …` of every organisation's peer, for commands that need a majority's endorsement. */
export async function endorserArguments(paths: NetworkPaths, profile: ConnectionProfile): Promise<string[]> {
  const lists = await Promise.all(
    profile.organisations.map(async ({ name, gateway }) => {
      const file = join(paths.state, 'channel', 'peers', `${name}-tls.pem`);
      await writeFileAtomic(file, gateway.tlsCaCert);
      return ['--peerAddresses', gateway.address, '--tlsRootCertFiles', file];
    }),
  );
  return lists.flat();
}
