// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { readConnectionProfile, type ConnectionProfile } from '../config/index.js';
import { EXIT, SevError, hasCode } from '../errors.js';

/**
 * Gives the organisations of this machine their identities and keys and bootstraps the consortium; harmless when done
 * before. An organisation by itself has its identities since its home was made.
 *
 * @param homes folder of the homes, one named after each organisation
 */
export async function bootstrap(homes: string, onProgress: (message: string) => void): Promise<void> {
  const { homeOrganisation } = await import('@sev/network');
  const organisation = await homeOrganisation();
  if (organisation !== undefined) {
    const { joinGovernance } = await import('./organisation-apart.js');
    await joinGovernance(organisation, resolve(process.env['SEV_HOME'] ?? join(homes, organisation)), onProgress);
    return;
  }
  const profile = await readConnectionProfile();
  const { bootstrapConsortium } = await import('../identity/index.js');
  await bootstrapConsortium({ profile, homes, onProgress });
}

/**
 * The profile of the network, once it is known to run.
 *
 * @throws SevError NETWORK_NOT_RUNNING.
 */
export async function requireNetwork(): Promise<ConnectionProfile> {
  const profile = await readConnectionProfile();
  const { networkStatus } = await import('@sev/network');
  const status = await networkStatus({});
  if (!status.running) {
    throw new SevError('NETWORK_NOT_RUNNING', 'The network is set up but does not run', {
      hint: 'Start it with `make network-up` (or `sev network up`).',
      exitCode: EXIT.unreachable,
    });
  }
  return profile;
}

/** Homes of programs that belong to no organisation. */
const PROGRAM_HOMES = ['fleet', 'store', 'runs'] as const;

/** Names of the homes that a machine with everything on it has for this network; none where there is no network. */
export async function knownHomes(): Promise<string[]> {
  try {
    const profile = await readConnectionProfile();
    return [...profile.organisations.map((organisation) => organisation.name), ...PROGRAM_HOMES];
  } catch (error) {
    if (hasCode(error, 'NETWORK_NOT_RUNNING')) {
      return [];
    }
    throw error;
  }
}

/** Removes the homes whose identities die with the network; nothing else in the folder is touched. */
export async function removeHomes(homes: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await rm(join(homes, name), { recursive: true, force: true });
  }
}
