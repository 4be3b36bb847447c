// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { livingProcess, probe, type LiveStatus } from './handshake.js';
import type { NetworkOptions } from './options.js';
import { networkPaths, type NetworkPaths } from './paths.js';
import { loadConnectionProfile, type ConnectionProfile } from './profile.js';
import { readState, type NetworkState } from './state.js';

/** One organisation's part of the network. */
export interface OrganisationStatus {
  readonly name: string;
  readonly mspId: string;
  /** `host:port` of the Gateway service. */
  readonly gateway: string;
  /** URL of the CA. */
  readonly ca: string;
  /** Its chaincode process; nothing while the network is not running. */
  readonly chaincode: { readonly pid: number | undefined; readonly running: boolean } | undefined;
}

/** A network, running or not. */
export interface NetworkStatus {
  /** Whether it answers; a network that is still starting does not. */
  readonly running: boolean;
  readonly kind: 'embedded' | 'fabric';
  /** Whom a user has to trust: of the embedded network one operator, who holds all keys. */
  readonly trust: 'single-operator' | 'consortium';
  /** Why this kind was chosen, when it was just brought up. */
  readonly reason?: string;
  readonly name: string | undefined;
  readonly channel: string | undefined;
  /** Number of blocks. */
  readonly height: number | undefined;
  readonly genesisHash: string | undefined;
  readonly pid: number | undefined;
  /** What is wrong with a process that lives and does not answer. */
  readonly problem: string | undefined;
  readonly startedAtMs: number | undefined;
  readonly organisations: readonly OrganisationStatus[];
  /** Processes of a native network, while it runs. */
  readonly nodes: LiveStatus['nodes'];
  readonly home: string;
  readonly profile: string;
  readonly log: string;
}

function organisationsOf(
  state: NetworkState,
  live: LiveStatus | undefined,
  profile: ConnectionProfile | undefined,
): OrganisationStatus[] {
  return (profile?.organisations ?? state.organisations).map(({ name, mspId }) => {
    const chaincode = live?.chaincode.find((process) => process.mspId === mspId);
    const known = profile?.organisations.find((organisation) => organisation.mspId === mspId);
    return {
      name,
      mspId,
      gateway: known?.gateway.address ?? `localhost:${state.portPlan.ports[name]?.gateway.toString() ?? ''}`,
      ca: known?.ca.url ?? `https://localhost:${state.portPlan.ports[name]?.ca.toString() ?? ''}`,
      chaincode: chaincode === undefined ? undefined : { pid: chaincode.pid, running: chaincode.running },
    };
  });
}

type Description = Pick<
  NetworkStatus,
  'running' | 'trust' | 'name' | 'channel' | 'height' | 'genesisHash' | 'startedAtMs' | 'organisations' | 'nodes'
>;

/** What the state, a running network and its profile say. */
function describe(
  state: NetworkState | undefined,
  live: LiveStatus | undefined,
  profile: ConnectionProfile | undefined,
): Description {
  return {
    running: live !== undefined,
    trust: profile?.network.trust ?? 'single-operator',
    name: state?.name,
    channel: state?.channel,
    height: live?.height,
    genesisHash: live?.genesisHash ?? profile?.genesisHash,
    startedAtMs: live?.startedAtMs,
    organisations: state === undefined ? [] : organisationsOf(state, live, profile),
    nodes: live?.nodes ?? [],
  };
}

/** @throws NetworkError STATE_FOREIGN */
export async function statusOf(paths: NetworkPaths): Promise<NetworkStatus> {
  const state = await readState(paths);
  const background = state === undefined ? undefined : await livingProcess(paths);
  const { live, problem } = await probe(background);
  const profile = existsSync(paths.profile) ? await loadConnectionProfile(paths.profile) : undefined;
  return {
    ...describe(state, live, profile),
    kind: paths.kind,
    pid: background?.pid,
    problem,
    home: paths.home,
    profile: paths.profile,
    log: paths.log,
  };
}

/** Whether the network runs, and what it is. @throws NetworkError STATE_FOREIGN */
export async function networkStatus(options: NetworkOptions = {}): Promise<NetworkStatus> {
  return statusOf(networkPaths(options.home));
}
