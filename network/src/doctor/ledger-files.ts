// SPDX-License-Identifier: Apache-2.0
// Reads blocks from the files of a peer or an orderer of Fabric, running or not. A file holds blocks one after the other,
// each after its length; lengths and counts are varints (Fabric common/ledger/blkstorage, block_serialization.go).
import { existsSync } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { common } from '@hyperledger/fabric-protos';
import { blockHeaderHash, required } from '../embedded/protocol/block.js';

const FILE_NAME = /^blockfile_\d{6}$/;
const HEAD_BYTES = 32;

/** The files are there and do not hold blocks. */
export class LedgerFilesError extends Error {
  constructor(folder: string, detail: string) {
    super(`${folder}: ${detail}`);
    this.name = 'LedgerFilesError';
  }
}

/** A block as it lies in a file. */
export interface StoredBlock {
  readonly number: number;
  /** Hex, as the next block refers to it. */
  readonly hash: string;
  readonly envelopes: readonly Uint8Array[];
  readonly metadata: readonly Uint8Array[];
}

/** Takes varints and byte strings from a buffer; `undefined` past its end. */
class Reader {
  readonly #bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position = 0) {
    this.#bytes = bytes;
    this.position = position;
  }

  varint(): number | undefined {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = this.#bytes[this.position];
      if (byte === undefined) {
        return undefined;
      }
      this.position += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        return value;
      }
    }
    return undefined;
  }

  bytes(): Buffer | undefined {
    const length = this.varint();
    if (length === undefined || this.position + length > this.#bytes.length) {
      return undefined;
    }
    this.position += length;
    return this.#bytes.subarray(this.position - length, this.position);
  }

  list(): Buffer[] | undefined {
    const count = this.varint();
    const items: Buffer[] = [];
    for (let index = 0; count !== undefined && index < count; index++) {
      const item = this.bytes();
      if (item === undefined) {
        return undefined;
      }
      items.push(item);
    }
    return count === undefined ? undefined : items;
  }
}

function parseBlock(bytes: Buffer): StoredBlock | undefined {
  const reader = new Reader(bytes);
  const number = reader.varint();
  const dataHash = reader.bytes();
  const previousHash = reader.bytes();
  const envelopes = reader.list();
  const metadata = reader.list();
  if (number === undefined || dataHash === undefined || previousHash === undefined) {
    return undefined;
  }
  if (envelopes === undefined || metadata === undefined || reader.position !== bytes.length) {
    return undefined;
  }
  const header = new common.BlockHeader();
  header.setNumber(number);
  header.setDataHash(dataHash);
  header.setPreviousHash(previousHash);
  return { number, hash: blockHeaderHash(header).toString('hex'), envelopes, metadata };
}

/** The blocks of one ledger. */
export class LedgerFiles {
  readonly #folder: string;
  /** With the number of its first block; files without a whole block are left out. */
  readonly #files: readonly { readonly file: string; readonly first: number }[];

  private constructor(folder: string, files: readonly { file: string; first: number }[]) {
    this.#folder = folder;
    this.#files = files;
  }

  /**
   * @returns nothing where there is no ledger, or one without a block
   * @throws LedgerFilesError
   */
  static async open(folder: string): Promise<LedgerFiles | undefined> {
    if (!existsSync(folder)) {
      return undefined;
    }
    const files: { file: string; first: number }[] = [];
    for (const name of (await readdir(folder)).filter((entry) => FILE_NAME.test(entry)).sort()) {
      const first = await firstNumber(join(folder, name));
      if (first !== undefined) {
        files.push({ file: join(folder, name), first });
      }
    }
    return files.length === 0 ? undefined : new LedgerFiles(folder, files);
  }

  /** The last block that is whole; one that is just being written does not count. */
  async last(): Promise<StoredBlock> {
    for (const { file } of [...this.#files].reverse()) {
      const last = await this.#scan(file, () => false);
      if (last !== undefined) {
        return last;
      }
    }
    throw new LedgerFilesError(this.#folder, 'holds no whole block');
  }

  /** A block by its number; nothing where the ledger begins later or ends earlier. */
  async at(number: number): Promise<StoredBlock | undefined> {
    const within = [...this.#files].reverse().find(({ first }) => first <= number);
    if (within === undefined) {
      return undefined;
    }
    const block = await this.#scan(within.file, (current) => current === number);
    return block?.number === number ? block : undefined;
  }

  /** Goes through a file until a block is the one that is looked for; the last whole one otherwise. */
  async #scan(file: string, isWanted: (number: number) => boolean): Promise<StoredBlock | undefined> {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      let found: BlockPlace | undefined;
      let place = await placeAt(handle, 0);
      while (place !== undefined && place.end <= size) {
        found = place;
        place = isWanted(place.number) ? undefined : await placeAt(handle, place.end);
      }
      if (found === undefined) {
        return undefined;
      }
      const bytes = Buffer.alloc(found.end - found.start);
      if (bytes.length > 0) {
        await handle.read({ buffer: bytes, position: found.start });
      }
      const block = parseBlock(bytes);
      if (block === undefined) {
        throw new LedgerFilesError(this.#folder, `${file} holds no block at ${found.start.toString()}`);
      }
      return block;
    } finally {
      await handle.close();
    }
  }
}

/** Where a block lies in its file, without its length. */
interface BlockPlace {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** What begins at a position; nothing at the end of the file, or where a block is just being written. */
async function placeAt(handle: FileHandle, position: number): Promise<BlockPlace | undefined> {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(HEAD_BYTES), position });
  const reader = new Reader(buffer.subarray(0, bytesRead));
  const length = reader.varint();
  const start = position + reader.position;
  const number = reader.varint();
  return length === undefined || number === undefined ? undefined : { number, start, end: start + length };
}

/** The number of the first block in a file; nothing while there is none. */
async function firstNumber(file: string): Promise<number | undefined> {
  const handle = await open(file, 'r');
  try {
    return (await placeAt(handle, 0))?.number;
  } finally {
    await handle.close();
  }
}

/** Number of the last configuration block, which every block names in its metadata. */
export function lastConfigNumber(block: StoredBlock): number {
  const signatures = block.metadata[0];
  if (signatures === undefined || signatures.length === 0) {
    return 0;
  }
  const value = common.Metadata.deserializeBinary(signatures).getValue_asU8();
  return common.OrdererBlockMetadata.deserializeBinary(value).getLastConfig()?.getIndex() ?? 0;
}

/** When a block's last transaction was made by its client's clock, in ms since the epoch; 0 where it does not say. */
export function blockTimeMs(block: StoredBlock): number {
  const times = block.envelopes.map((bytes) => {
    const payload = common.Payload.deserializeBinary(common.Envelope.deserializeBinary(bytes).getPayload_asU8());
    const header = required(payload.getHeader(), 'header').getChannelHeader_asU8();
    return common.ChannelHeader.deserializeBinary(header).getTimestamp()?.toDate().getTime() ?? 0;
  });
  return Math.max(0, ...times);
}
