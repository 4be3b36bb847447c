// SPDX-License-Identifier: Apache-2.0
import { hash } from '@sev/chaincode/api';
import { ciphertextsFor, HE_PARAMETERS, type HeReportHeader } from '@sev/fl';
import { z } from 'zod';
import { shareSubmission } from '../aggregator/share-submission.js';
import { EXIT, SevError } from '../errors.js';

/** Largest body of a report: some 180 ciphertexts, or 740,000 values. */
export const HE_REPORT_BODY_BYTES = 16 * 1024 * 1024;

const LENGTH_BYTES = 4;

/** Sizes in a message: the header with its length but for the hashes and the digits of `length`, a hash, and the rest. */
const HEADER_BYTES = 274;
const HASH_BYTES = 67;
const CIPHERTEXT_BYTES = 65_649;
const SEALED_SEED_BYTES = 113;

const header = z.strictObject({
  context: hash,
  keyHash: hash,
  length: z.int().min(1),
  maskCommitment: hash,
  ciphertextHashes: z.array(hash).min(1),
});

/**
 * What a vehicle posts to summer and mask holder, before its envelope goes to the ledger: as a share in a secure mode, but
 * that `sealed` is a {@link reportMessage} in base64.
 */
export const heSubmission = shareSubmission.extend({
  sealed: z
    .string()
    .min(1)
    .max(HE_REPORT_BODY_BYTES)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/, 'base64'),
});

export interface ReportMessage {
  readonly header: HeReportHeader;
  /** For the summer the ciphertexts, one after the other; for the mask holder the sealed seed. */
  readonly payload: Uint8Array;
}

/** Length of the header as uint32 (big endian) ‖ header as JSON ‖ payload. */
export function reportMessage({ header: head, payload }: ReportMessage): Uint8Array {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text, payload]);
}

/**
 * What a vehicle uploads of a report, summer's and mask holder's messages together, in base64 as they travel.
 *
 * @param length values of the report.
 */
export function reportBytes(length: number): number {
  const ciphertexts = ciphertextsFor(length, HE_PARAMETERS);
  const header = HEADER_BYTES + String(length).length + ciphertexts * HASH_BYTES;
  const inBase64 = (bytes: number): number => 4 * Math.ceil(bytes / 3);
  return inBase64(header + ciphertexts * CIPHERTEXT_BYTES) + inBase64(header + SEALED_SEED_BYTES);
}

/** @throws SevError SHARE_MALFORMED */
export function readReportMessage(bytes: Uint8Array): ReportMessage {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    const end = LENGTH_BYTES + buffer.readUInt32BE(0);
    return {
      header: header.parse(JSON.parse(buffer.toString('utf8', LENGTH_BYTES, end))),
      payload: buffer.subarray(end),
    };
  } catch (cause) {
    throw new SevError('SHARE_MALFORMED', 'the report has not the documented form', { exitCode: EXIT.refused, cause });
  }
}
