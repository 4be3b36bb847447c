// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { common } from '@hyperledger/fabric-protos';
import { anchorsOf, openExport, type TrustAnchors } from '../index.js';

/** Blocks of real networks; the folder's README says how they came about. */
const FIXTURES = new URL('../../../fixtures/fabric-blocks/', import.meta.url);

/** A ledger that a network of real Fabric nodes made, and what an auditor of it trusts. */
export interface RecordedLedger {
  readonly anchors: TrustAnchors;
  readonly blocks: readonly common.Block[];
}

/** @param name of the ordering service that made it. */
export async function recordedLedger(name: 'bft' | 'raft'): Promise<RecordedLedger> {
  const folder = await mkdtemp(join(tmpdir(), 'sev-fabric-blocks-'));
  try {
    const path = join(folder, `${name}.sev`);
    await writeFile(path, brotliDecompressSync(await readFile(new URL(`${name}.sev.br`, FIXTURES))));
    const file = await openExport(path);
    const blocks: common.Block[] = [];
    for await (const block of file.blocks()) {
      blocks.push(block);
    }
    const { organisations, ...anchors } = anchorsOf(file.manifest);
    // The organisation that joined while the ledger was recorded is not in that network's profile.
    const identityCaCert = await readFile(new URL('guest-root.pem', FIXTURES), 'utf8');
    const guest = name === 'bft' ? [{ mspId: 'GuestMSP', identityCaCert }] : [];
    // The records are those of an older contract: what is looked at here is what Fabric made of them.
    return { anchors: { ...anchors, chaincode: 'none', organisations: [...organisations, ...guest] }, blocks };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Types of a block's transactions (`common.HeaderType`). */
export function typesOf(block: common.Block): number[] {
  return envelopesOf(block).map((bytes) => {
    const payload = common.Payload.deserializeBinary(common.Envelope.deserializeBinary(bytes).getPayload_asU8());
    return common.ChannelHeader.deserializeBinary(payload.getHeader()!.getChannelHeader_asU8()).getType();
  });
}

export function envelopesOf(block: common.Block): Uint8Array[] {
  return block.getData()!.getDataList_asU8();
}

/** The blocks that hold a configuration. */
export function configBlocksOf({ blocks }: RecordedLedger): common.Block[] {
  return blocks.filter((block) => typesOf(block).includes(common.HeaderType.CONFIG));
}
