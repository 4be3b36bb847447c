// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { revokedSerials } from '../embedded/msp/revocation.js';
import { NetworkError } from '../errors.js';
import type { NetworkOptions } from '../supervisor/options.js';
import { organisationGroups, setValue, valueAt, type ChannelConfig } from './config-document.js';
import { channelContext, updateChannel } from './config-update.js';
import { adminOf, openFabricHome } from './home.js';
import { mspFiles } from './layout.js';

const mspSchema = z.looseObject({
  config: z.looseObject({ root_certs: z.array(z.string()), revocation_list: z.array(z.string()).nullish() }),
});

const pemOf = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** The revocation lists (PEM) that the channel holds for an organisation. */
export function revocationListsOf(config: ChannelConfig, mspId: string): string[] {
  const [group] = organisationGroups(config, mspId);
  if (group === undefined) {
    throw new NetworkError('CONFIG_UNKNOWN', `the channel has no organisation ${mspId}`);
  }
  return (valueAt(group, 'MSP', mspSchema).config.revocation_list ?? []).map(pemOf);
}

/**
 * Puts revocation lists (PEM) into an organisation's MSP: in all groups that know it, for the channel takes no two
 * different versions of one MSP.
 */
export function withRevocationLists(config: ChannelConfig, mspId: string, lists: readonly string[]): ChannelConfig {
  for (const group of organisationGroups(config, mspId)) {
    const value = valueAt(group, 'MSP', mspSchema);
    const revocation_list = lists.map((list) => Buffer.from(list).toString('base64'));
    setValue(group, 'MSP', { ...value, config: { ...value.config, revocation_list } });
  }
  return config;
}

/**
 * The lists that shall stand in place of the present ones. A new list replaces one whose certificates it all names. One
 * that names others stays beside it: a CA whose database was restored from a backup knows less than the channel does,
 * and nobody may come back by that.
 * @throws Error when a list is not that CA's
 */
export async function mergedLists(caCert: string, present: readonly string[], list: string): Promise<string[]> {
  const revoked = await revokedSerials(caCert, [list]);
  const kept: string[] = [];
  for (const old of present) {
    const serials = await revokedSerials(caCert, [old]);
    if (![...serials].every((serial) => revoked.has(serial))) {
      kept.push(old);
    }
  }
  const adds = revoked.size > 0 && !kept.includes(list);
  return adds ? [...kept, list] : kept;
}

/** What came of publishing a revocation list. */
export interface RevocationListResult {
  /** Number of certificates of the organisation that the channel refuses. */
  readonly revokedCertificates: number;
  /** Whether the channel's configuration had to be changed. */
  readonly updated: boolean;
}

/**
 * Has a channel refuse the certificates that an organisation's CA has revoked: its revocation list goes into the MSP
 * definitions of its peers and orderers, signed by the organisation's own administrator. Harmless when it is there.
 *
 * @param organisation name, one whose nodes run from this home
 * @param list PEM, as its CA made it
 * @throws NetworkError ORGANISATION_UNKNOWN; PROGRAM_FAILED; CONFIG_NOT_COMMITTED
 */
export async function publishRevocationList(
  organisation: string,
  list: string,
  options: NetworkOptions = {},
): Promise<RevocationListResult> {
  const home = await openFabricHome(options);
  const { member } = adminOf(home, organisation);
  const { mspId } = member.organisation;
  const caCert = await readFile(mspFiles(member.layout.channelMsp).ca, 'utf8');
  const context = channelContext(home, organisation);
  let lists: string[] = [];
  const updated = await updateChannel(context, async (config) => {
    lists = await mergedLists(caCert, revocationListsOf(config, mspId), list);
    const same = await sameCertificates(caCert, revocationListsOf(config, mspId), lists);
    return same ? config : withRevocationLists(config, mspId, lists);
  });
  return { revokedCertificates: (await revokedSerials(caCert, lists)).size, updated };
}

/** Whether lists revoke the same: a CA signs and dates each list anew, which is no reason for a new configuration. */
async function sameCertificates(caCert: string, one: readonly string[], other: readonly string[]): Promise<boolean> {
  const [left, right] = await Promise.all([revokedSerials(caCert, one), revokedSerials(caCert, other)]);
  return left.size === right.size && [...left].every((serial) => right.has(serial));
}
