// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { channelConfigOf, type ChannelConfig } from './channel-config.js';
import type { Facts, HomeMember } from './facts.js';
import { lastConfigNumber, LedgerFiles, LedgerFilesError, type StoredBlock } from './ledger-files.js';

/** A node's ledger on disk. */
export interface NodeLedger {
  readonly node: string;
  readonly kind: 'peer' | 'orderer';
  readonly organisation: string;
  readonly files: LedgerFiles;
}

export const peerLedgerFolder = ({ layout }: Pick<HomeMember, 'layout'>, channel: string): string =>
  join(layout.peer.data, 'ledgersData', 'chains', 'chains', channel);
export const ordererLedgerFolder = ({ layout }: Pick<HomeMember, 'layout'>, channel: string): string =>
  join(layout.orderer.data, 'chains', channel);

/** The ledgers of this home's peers, or of its orderers. @throws LedgerFilesError */
export async function nodeLedgers({ members, state }: Facts, kind: NodeLedger['kind']): Promise<NodeLedger[]> {
  const channel = state.value?.channel ?? '';
  const folder = kind === 'peer' ? peerLedgerFolder : ordererLedgerFolder;
  const ledgers = await Promise.all(
    members.map(async (member): Promise<NodeLedger[]> => {
      const files = await LedgerFiles.open(folder(member, channel));
      const organisation = member.name;
      return files === undefined ? [] : [{ node: `${kind}.${organisation}`, kind, organisation, files }];
    }),
  );
  return ledgers.flat();
}

/** The last block of some peer of this home; nothing where it has none that can be read, which another check reports. */
export async function newestBlock(facts: Facts): Promise<StoredBlock | undefined> {
  try {
    return facts.kind === 'fabric' ? await (await nodeLedgers(facts, 'peer'))[0]?.files.last() : undefined;
  } catch (error) {
    if (error instanceof LedgerFilesError) {
      return undefined;
    }
    throw error;
  }
}

/**
 * The channel's present configuration by the newest ledger of this home that holds it. A peer that joined by a snapshot
 * may lack the block.
 * @throws LedgerFilesError
 */
export async function presentConfig(facts: Facts): Promise<ChannelConfig | undefined> {
  const ledgers = [...(await nodeLedgers(facts, 'orderer')), ...(await nodeLedgers(facts, 'peer'))];
  const ends = await Promise.all(ledgers.map(async ({ files }) => ({ files, last: await files.last() })));
  for (const { files, last } of ends.sort((a, b) => b.last.number - a.last.number)) {
    const block = await files.at(lastConfigNumber(last));
    if (block !== undefined) {
      return channelConfigOf(block);
    }
  }
  return undefined;
}
