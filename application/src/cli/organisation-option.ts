// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import { homesFolder, withSession, type OpenedSession } from './homes.js';
import { pair } from './values.js';

/** In whose name a command acts. */
export interface OrganisationChoice {
  readonly org?: string;
  readonly home?: string;
  readonly homes?: string;
}

/** Where what a command needs answers. */
export interface ServiceChoice extends OrganisationChoice {
  readonly store?: string;
  readonly aggregator?: Readonly<Record<string, string>>;
}

export function organisationOptions(command: Command): void {
  command.option('--org <name>', 'organisation that acts (default: that of this home, else grid)');
  command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
  command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
}

export function serviceOptions(command: Command): void {
  command.option('--store <url>', 'address of the store (default: that of this machine)');
  command.option('--aggregator <org=url>', 'aggregator; may be repeated (default: those of this machine)', pair);
}

/** Only the regulator has an auditor; at any other organisation its operator acts. */
export function staffLabel(org: string): string {
  return org === 'regulator' || org === 'RegulatorMSP' ? 'auditor' : 'operator';
}

/** A session of the organisation's operator, or of its auditor. */
export async function asStaff<T>(
  { org, home, homes }: OrganisationChoice,
  use: (opened: OpenedSession & { readonly label: string }) => Promise<T>,
): Promise<T> {
  const { homeOrganisation } = await import('@sev/network');
  const name = org ?? (await homeOrganisation()) ?? 'grid';
  const label = staffLabel(name);
  return withSession({ org: name, home, homes, label }, (opened) => use({ ...opened, label }));
}

/** Runs something with the services that it needs, and closes what had to be started for it. */
export async function withServices<T>(
  { profile }: OpenedSession,
  homes: string | undefined,
  note: (text: string) => void,
  use: (services: import('../run/services-here.js').ServicesHere) => Promise<T>,
): Promise<T> {
  const { ServicesHere } = await import('../run/services-here.js');
  const services = new ServicesHere({ profile, homes: homesFolder(homes), note });
  try {
    return await use(services);
  } finally {
    await services.close();
  }
}
