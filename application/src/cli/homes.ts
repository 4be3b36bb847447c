// SPDX-License-Identifier: Apache-2.0
import { join, resolve } from 'node:path';
import type { ConnectionProfile } from '../config/index.js';
import { homeOf, inHome, organisationNamed, readConnectionProfile } from '../config/index.js';
import type { IdentityWallet } from '../identity/index.js';
import type { LedgerSession } from '../ledger/index.js';

/** Folder with the homes of several programs, one named after each: what one machine that runs everything uses. */
export function homesFolder(option: string | undefined): string {
  return resolve(option ?? process.env['SEV_HOMES'] ?? '.sev');
}

export interface OpenedSession {
  readonly profile: ConnectionProfile;
  readonly session: LedgerSession;
  readonly wallet: IdentityWallet;
  readonly home: string;
}

export interface SessionChoice {
  /** Name or MSP id of the organisation. */
  readonly org: string;
  /** Home of the organisation; default `.sev/<organisation>`. */
  readonly home?: string | undefined;
  readonly homes?: string | undefined;
  /** Label in the wallet. */
  readonly label: string;
}

/** How long somebody who looks on waits for a network that does not answer; it may be starting again. */
const PATIENCE_MS = 10_000;

/** Opens a session with an identity of an organisation's home. Libraries load only now: `--help` stays fast. */
export async function openOrganisationSession(choice: SessionChoice): Promise<OpenedSession> {
  const profile = await readConnectionProfile();
  const organisation = organisationNamed(profile, choice.org);
  const home =
    choice.homes === undefined || choice.home !== undefined
      ? homeOf(organisation.name, choice.home)
      : join(homesFolder(choice.homes), organisation.name);
  const [{ identityOf, openWallet }, { openSession }] = await Promise.all([
    import('../identity/index.js'),
    import('../ledger/index.js'),
  ]);
  const wallet = await openWallet(inHome.wallet(home));
  const identity = await identityOf(organisation, wallet, choice.label);
  const session = await openSession({ profile, identity, retry: { reconnectMs: PATIENCE_MS } });
  return { profile, session, wallet, home };
}

/** Runs something with a session and closes it. */
export async function withSession<T>(choice: SessionChoice, use: (opened: OpenedSession) => Promise<T>): Promise<T> {
  const opened = await openOrganisationSession(choice);
  try {
    return await use(opened);
  } finally {
    opened.session.close();
  }
}
