// SPDX-License-Identifier: Apache-2.0
import type { ConnectionProfile } from '../config/profile.js';
import type { ServiceLog } from './log.js';

/** Where a service listens. */
export interface ListenOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0: any free port. */
  readonly port?: number | undefined;
  /** Default: nothing is logged. */
  readonly log?: ServiceLog | undefined;
}

/** What a service needs that acts for an organisation. */
export interface OrganisationServiceOptions extends ListenOptions {
  readonly profile: ConnectionProfile;
  /** Name or MSP id of the organisation. */
  readonly organisation: string;
  /** Home of the organisation: wallet and statement key. */
  readonly home: string;
  readonly storeUrl: string;
}

/** The parts of a server's options that were given. */
export function listenAt({ host, port }: ListenOptions): { host?: string; port?: number } {
  return { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) };
}
