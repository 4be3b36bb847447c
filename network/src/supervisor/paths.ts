// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { NetworkKind } from '../topology/ports.js';

/** Where a network keeps its files. */
export interface NetworkPaths {
  readonly kind: NetworkKind;
  /** What applications read, and everything else in it. */
  readonly home: string;
  /** Public: addresses and certificates. */
  readonly profile: string;
  /** One folder an organisation, with its registrar's secret. */
  readonly organisations: string;
  /** Held while a command brings the network up, down or away. It outlives `clean`: a lock that is deleted is none. */
  readonly commandLock: string;
  /** State of the network: crypto, registrations, ledger, logs. Deleted as one. */
  readonly state: string;
  readonly stateFile: string;
  /** Held by the background process. */
  readonly runLock: string;
  readonly crypto: string;
  readonly ca: string;
  readonly ledger: string;
  /** Pid and private status address of the background process. */
  readonly processFile: string;
  readonly failureFile: string;
  readonly log: string;
  /** Where a network of the other kind would have its state, which is never touched from here. */
  readonly otherState: string;
}

/** The other kind of network. */
const OTHER = { embedded: 'fabric', fabric: 'embedded' } as const;

/**
 * @param home default: SEV_NETWORK_HOME, else `.network` in the working directory
 * @param kind default: that of the state that lies there, else embedded
 */
export function networkPaths(home?: string, kind?: NetworkKind): NetworkPaths {
  const root = resolve(home ?? (process.env['SEV_NETWORK_HOME'] || '.network'));
  const settled = kind ?? (existsSync(join(root, 'fabric')) ? 'fabric' : 'embedded');
  const state = join(root, settled);
  return {
    kind: settled,
    home: root,
    profile: join(root, 'connection.json'),
    organisations: join(root, 'organisations'),
    commandLock: join(root, 'lock'),
    state,
    stateFile: join(state, 'state.json'),
    runLock: join(state, 'run-lock'),
    crypto: join(state, 'crypto'),
    ca: join(state, 'ca'),
    ledger: join(state, 'ledger'),
    processFile: join(state, 'process.json'),
    failureFile: join(state, 'failure.json'),
    log: join(state, 'network.log'),
    otherState: join(root, OTHER[settled]),
  };
}

/** The registrar that comes with an organisation's CA. */
export function registrarPath(paths: NetworkPaths, organisation: string): string {
  return join(paths.organisations, organisation, 'registrar.json');
}
