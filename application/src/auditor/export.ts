// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { common } from '@hyperledger/fabric-protos';
import { canonicalJson } from '@sev/chaincode/api';
import { z } from 'zod';
import type { ConnectionProfile } from '../config/index.js';
import { AuditError, type AuditCode } from './failure.js';
import type { TrustAnchors } from './replay.js';

/**
 * The form of an export: one line of text, `SEV-LEDGER 1`; one line of canonical JSON, the manifest; then for each
 * block a length (4 bytes, big-endian) and its protobuf bytes; then a length of zero; then one line of canonical JSON,
 * the closing: how many blocks, and the SHA-256 of everything before it.
 */
const MAGIC = 'SEV-LEDGER 1\n';
const MAX_BLOCK_BYTES = 256 * 1024 * 1024;

const manifest = z.strictObject({
  schemaVersion: z.literal(1),
  network: z.strictObject({ kind: z.string(), trust: z.string(), name: z.string() }),
  channel: z.string(),
  chaincode: z.string(),
  genesisHash: z.string(),
  organisations: z.array(z.strictObject({ mspId: z.string(), identityCaCert: z.string() })),
});
const closing = z.strictObject({ blocks: z.int().min(0), sha256: z.string() });

/** What an export says of itself: anchors of trust for whoever has no better source for them. */
export type ExportManifest = z.infer<typeof manifest>;

export interface ExportSummary {
  readonly path: string;
  readonly blocks: number;
  readonly bytes: number;
  /** Of everything before the closing line. */
  readonly sha256: string;
}

/** Writes all blocks with their manifest into one file, whole or not at all. */
export async function exportLedger(
  blocks: AsyncIterable<common.Block>,
  content: ExportManifest,
  path: string,
  onProgress?: (blocks: number) => void,
): Promise<ExportSummary> {
  const temporary = `${path}.part`;
  const file = await open(temporary, 'w');
  let summary: ExportSummary;
  try {
    summary = await writeExport(file, blocks, content, path, onProgress);
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  return summary;
}

async function writeExport(
  file: FileHandle,
  blocks: AsyncIterable<common.Block>,
  content: ExportManifest,
  path: string,
  onProgress?: (blocks: number) => void,
): Promise<ExportSummary> {
  const hash = createHash('sha256');
  let bytes = 0;
  let count = 0;
  const write = async (data: Uint8Array): Promise<void> => {
    hash.update(data);
    bytes += data.length;
    await file.write(data);
  };
  await write(Buffer.from(`${MAGIC}${canonicalJson(content)}\n`));
  for await (const block of blocks) {
    const body = block.serializeBinary();
    await write(Buffer.concat([uint32(body.length), body]));
    count += 1;
    onProgress?.(count);
  }
  await write(uint32(0));
  const sha256 = hash.digest('hex');
  const end = Buffer.from(`${canonicalJson({ blocks: count, sha256 })}\n`);
  await file.write(end);
  return { path, blocks: count, bytes: bytes + end.length, sha256 };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The manifest of a network's export: the public part of its connection profile. */
export function manifestOf(profile: ConnectionProfile): ExportManifest {
  const { network, channel, chaincode, genesisHash } = profile;
  const { kind, trust, name } = network;
  const organisations = profile.organisations.map(({ mspId, identityCaCert }) => ({ mspId, identityCaCert }));
  return { schemaVersion: 1, network: { kind, trust, name }, channel, chaincode, genesisHash, organisations };
}

export function anchorsOf(content: ExportManifest): TrustAnchors {
  const { channel, chaincode, genesisHash, organisations } = content;
  return { channel, chaincode, genesisHash, organisations };
}

/** An export opened for reading: the manifest is there, the blocks come one by one. */
export interface LedgerExport {
  readonly manifest: ExportManifest;
  /** @throws AuditError EXPORT_MALFORMED, EXPORT_INCOMPLETE, EXPORT_CHECKSUM, or BLOCK_MALFORMED while iterating. */
  blocks(): AsyncGenerator<common.Block, void, undefined>;
}

/** @throws AuditError EXPORT_MALFORMED; a system error where the file cannot be opened. */
export async function openExport(path: string): Promise<LedgerExport> {
  const reader = new HashingReader(path);
  try {
    if ((await reader.line('first line')) !== MAGIC.trimEnd()) {
      throw exportError('EXPORT_MALFORMED', 'first line', `it is not "${MAGIC.trimEnd()}"`);
    }
    const content = parseLine(manifest, await reader.line('manifest'), 'manifest');
    return { manifest: content, blocks: () => readBlocks(reader) };
  } catch (error) {
    reader.close();
    throw error;
  }
}

async function* readBlocks(reader: HashingReader): AsyncGenerator<common.Block, void, undefined> {
  try {
    yield* readAllBlocks(reader);
  } finally {
    reader.close();
  }
}

async function* readAllBlocks(reader: HashingReader): AsyncGenerator<common.Block, void, undefined> {
  let count = 0;
  for (;;) {
    const where = `block ${String(count)}`;
    const length = (await reader.bytes(4, where)).readUInt32BE();
    if (length === 0) {
      break;
    }
    if (length > MAX_BLOCK_BYTES) {
      throw exportError('EXPORT_MALFORMED', where, `a length of ${String(length)} bytes`);
    }
    yield parseBlock(await reader.bytes(length, where), where);
    count += 1;
  }
  const sha256 = reader.digest();
  const end = parseLine(closing, await reader.line('closing'), 'closing');
  if (end.blocks !== count || end.sha256 !== sha256 || !(await reader.atEnd())) {
    throw exportError('EXPORT_CHECKSUM', 'closing', `found ${String(count)} blocks with SHA-256 ${sha256}`);
  }
}

/** Whatever the parser would silently drop or mend (unknown fields, other encodings) counts as damage. */
function parseBlock(bytes: Uint8Array, where: string): common.Block {
  let reason = 'it is not encoded as blocks are';
  try {
    const block = common.Block.deserializeBinary(bytes);
    if (Buffer.compare(block.serializeBinary(), bytes) === 0) {
      return block;
    }
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  throw new AuditError({ kind: 'block', where, code: 'BLOCK_MALFORMED', detail: reason });
}

function parseLine<T>(schema: z.ZodType<T>, line: string, where: string): T {
  try {
    const parsed = schema.parse(JSON.parse(line));
    if (canonicalJson(parsed) === line) {
      return parsed;
    }
  } catch {
    // reported below, as is a line in another encoding
  }
  throw exportError('EXPORT_MALFORMED', where, 'it is not the canonical JSON that is documented');
}

function exportError(code: AuditCode, where: string, detail: string): AuditError {
  return new AuditError({ kind: 'export', where, code, detail });
}

/** Reads a file piece by piece and hashes what it reads until the digest is asked for. */
class HashingReader {
  readonly #stream: ReadStream;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #hash = createHash('sha256');
  #buffer: Buffer = Buffer.alloc(0);
  #hashing = true;

  constructor(path: string) {
    this.#stream = createReadStream(path);
    this.#chunks = this.#stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async bytes(length: number, where: string): Promise<Buffer> {
    while (this.#buffer.length < length) {
      await this.#fill(where, Math.max(length, 2 * this.#buffer.length));
    }
    return this.#take(length);
  }

  async line(where: string): Promise<string> {
    while (!this.#buffer.includes('\n')) {
      await this.#fill(where, this.#buffer.length + 1);
    }
    const end = this.#buffer.indexOf('\n');
    const text = this.#take(end + 1).subarray(0, end);
    return text.toString('utf8');
  }

  digest(): string {
    this.#hashing = false;
    return this.#hash.digest('hex');
  }

  close(): void {
    this.#stream.destroy();
  }

  async atEnd(): Promise<boolean> {
    return this.#buffer.length === 0 && (await this.#chunks.next()).done === true;
  }

  /** Reads until the buffer holds `wanted` bytes or the file ends; at least one chunk, or the file is too short. */
  async #fill(where: string, wanted: number): Promise<void> {
    const parts = [this.#buffer];
    let have = this.#buffer.length;
    do {
      const next = await this.#chunks.next();
      if (next.done === true) {
        break;
      }
      parts.push(next.value);
      have += next.value.length;
    } while (have < wanted);
    if (parts.length === 1) {
      throw exportError('EXPORT_INCOMPLETE', where, 'the file ends here');
    }
    this.#buffer = Buffer.concat(parts);
  }

  #take(length: number): Buffer {
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    if (this.#hashing) {
      this.#hash.update(taken);
    }
    return taken;
  }
}
