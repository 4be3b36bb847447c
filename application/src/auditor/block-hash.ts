// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';

/** What a block's hash covers. */
export interface BlockHeaderFields {
  readonly number: number;
  readonly previousHash: Uint8Array;
  readonly dataHash: Uint8Array;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTET_STRING = 0x04;

/** One DER element (ITU-T X.690, 8.1): tag, definite length in its shortest form, content. */
function der(tag: number, content: Uint8Array): Buffer {
  if (content.length < 0x80) {
    return Buffer.concat([Buffer.from([tag, content.length]), content]);
  }
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) {
    length.unshift(rest % 256);
  }
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), content]);
}

/** Content of a non-negative INTEGER: big-endian, shortest, with a leading zero where the top bit is set. */
function integerContent(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) {
    bytes.unshift(rest % 256);
  }
  if (bytes.length === 0 || (bytes[0] ?? 0) >= 0x80) {
    bytes.unshift(0);
  }
  return Buffer.from(bytes);
}

/**
 * The header as Fabric hashes and signs it: DER of SEQUENCE { number INTEGER, previousHash OCTET STRING,
 * dataHash OCTET STRING } (Fabric, protoutil `BlockHeaderBytes`).
 */
export function blockHeaderBytes(header: BlockHeaderFields): Buffer {
  return der(
    SEQUENCE,
    Buffer.concat([
      der(INTEGER, integerContent(header.number)),
      der(OCTET_STRING, header.previousHash),
      der(OCTET_STRING, header.dataHash),
    ]),
  );
}

/** SHA-256 of {@link blockHeaderBytes}: what the next block's `previousHash` must be. */
export function blockHeaderHash(header: BlockHeaderFields): Buffer {
  return sha256(blockHeaderBytes(header));
}

/** SHA-256 over the block's transactions one after the other. */
export function blockDataHash(transactions: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const transaction of transactions) {
    hash.update(transaction);
  }
  return hash.digest();
}

export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part);
  }
  return hash.digest();
}
