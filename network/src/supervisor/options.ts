// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { NetworkError } from '../errors.js';
import { withLock } from './lock.js';
import type { NetworkKind } from '../topology/ports.js';
import { networkPaths, type NetworkPaths } from './paths.js';

/** What all commands on a network take. */
export interface NetworkOptions {
  /** `consortium.yaml`; default: SEV_TOPOLOGY, else the one that ships. */
  readonly topologyPath?: string;
  /** Home of the network; default: SEV_NETWORK_HOME, else `.network` in the working directory. */
  readonly home?: string;
  /** Kind of network to bring up; default: NETWORK, else auto. */
  readonly network?: 'auto' | NetworkKind;
  /** How long an organisation by itself waits for the others; default: two minutes. */
  readonly waitMs?: number;
  /** Told what is being done, in words. */
  readonly onProgress?: (message: string) => void;
}

const SHIPPED_TOPOLOGY = new URL('../../../test-network-config/consortium.yaml', import.meta.url);
/** Longer than a start or a stop may take. */
const COMMAND_WAIT_MS = 120_000;

/** The topology file that a command is for: what it was told, else what the home was brought up with, else what ships. */
export function topologyFile(options: NetworkOptions, remembered?: string): string {
  return options.topologyPath ?? (process.env['SEV_TOPOLOGY'] || (remembered ?? fileURLToPath(SHIPPED_TOPOLOGY)));
}

/** Runs a command on a network that no other command works on meanwhile. @throws NetworkError NETWORK_BUSY */
export async function asOnlyCommand<T>(
  options: NetworkOptions,
  command: (paths: NetworkPaths) => Promise<T>,
  kind?: NetworkKind,
): Promise<T> {
  const paths = networkPaths(options.home, kind);
  const outcome = await withLock(paths.commandLock, COMMAND_WAIT_MS, () => command(paths));
  if (outcome === undefined) {
    throw new NetworkError('NETWORK_BUSY', `another command is working on the network in ${paths.home}; try again`);
  }
  return outcome.result;
}
