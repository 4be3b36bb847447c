// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { contextBytes, SEED_BYTES } from '../expand.js';
import type { RandomSource } from '../random.js';
import { seal } from '../sealing.js';
import { HeError } from './errors.js';
import { expandMask, maskCommitment } from './masks.js';
import { ciphertextsFor, checkHeRange, type HeRange } from './parameters.js';
import { withScope, type HeRuntime } from './runtime.js';
import { addSlots, toSlots, type Slots } from './slots.js';

/** Public terms of one sum, the same for all parties. */
export interface HeTerms {
  /** SHA-256 of the key holder's public key of this round, lower-case hex. */
  readonly keyHash: string;
  /** Values of each vehicle. */
  readonly length: number;
  readonly range: HeRange;
}

/** What a vehicle signs, by the hash {@link heReportRoot}. */
export interface HeReportHeader {
  /** Hex SHA-256 that names consortium, task, round, attempt, base and reporter. */
  readonly context: string;
  readonly keyHash: string;
  readonly length: number;
  readonly maskCommitment: string;
  /** SHA-256 of each ciphertext. */
  readonly ciphertextHashes: readonly string[];
}

/** What a vehicle hands in: header and ciphertexts to the summer, header and sealed seed to the mask holder. */
export interface HeReport {
  /** {@link heReportRoot}, for the vehicle's envelope. */
  readonly root: string;
  readonly header: HeReportHeader;
  readonly ciphertexts: readonly Uint8Array[];
  readonly sealedSeed: Uint8Array;
}

const ROOT_DOMAIN = 'sev/secure/he-report/v1';
const SEAL_DOMAIN = 'sev/secure/he-seed/v1';

/**
 * The vehicle's part: values and checksums modulo t, plus a mask, encrypted for the key holder; the mask's seed sealed
 * to the mask holder.
 *
 * @param o.values whole numbers, public weights already multiplied in, length `terms.length`.
 * @param o.publicKey the key holder's.
 * @param o.maskHolder its sealing key: SubjectPublicKeyInfo, base64.
 * @param o.random source of the mask's seed; the encryption draws from the operating system.
 * @throws HeError KEY_MISMATCH, KEY_MALFORMED, VALUE_OUT_OF_RANGE, TOO_MANY_VEHICLES, SUM_MAY_WRAP; SecureError
 *   SEALING_KEY_INVALID, SECURE_OPTION_INVALID
 */
export async function createHeReport(
  runtime: HeRuntime,
  o: {
    readonly values: ArrayLike<number>;
    readonly context: string;
    readonly terms: HeTerms;
    readonly publicKey: Uint8Array;
    readonly maskHolder: string;
    readonly random: RandomSource;
  },
): Promise<HeReport> {
  const { values, context, terms, publicKey, maskHolder, random } = o;
  const { parameters } = runtime;
  checkHeRange(terms.range, parameters);
  if (sha256(publicKey) !== terms.keyHash) {
    throw new HeError('KEY_MISMATCH', 'the public key is not the one of this round');
  }
  if (values.length !== terms.length) {
    throw new HeError('VALUE_OUT_OF_RANGE', `${values.length} values, not ${terms.length}`);
  }
  const slots = toSlots(values, terms.range.maxAbsolute, parameters);
  const seed = random.nextBytes(SEED_BYTES);
  addSlots(slots, expandMask(seed, context, slots.length, parameters), parameters);
  const ciphertexts = encryptAll(runtime, publicKey, slots);
  const header: HeReportHeader = {
    context,
    keyHash: terms.keyHash,
    length: terms.length,
    maskCommitment: maskCommitment(seed, context),
    ciphertextHashes: ciphertexts.map(sha256),
  };
  const root = heReportRoot(header);
  return { root, header, ciphertexts, sealedSeed: await seal(maskHolder, seed, sealedSeedData(context, root)) };
}

/** SHA-256 of domain ‖ context ‖ key hash ‖ length as uint32 ‖ mask commitment ‖ ciphertext hashes, lower-case hex. */
export function heReportRoot(header: HeReportHeader): string {
  const { context, keyHash, length, maskCommitment: commitment, ciphertextHashes } = header;
  const size = Buffer.alloc(4);
  size.writeUInt32BE(length);
  const hash = createHash('sha256').update(ROOT_DOMAIN).update(contextBytes(context)).update(contextBytes(keyHash));
  hash.update(size).update(contextBytes(commitment));
  ciphertextHashes.forEach((one) => hash.update(contextBytes(one)));
  return hash.digest('hex');
}

/**
 * Checks a header against what the vehicle signed and what this sum is about.
 *
 * @throws HeError REPORT_MISMATCH, KEY_MISMATCH
 */
export function checkHeader(header: HeReportHeader, root: string, terms: HeTerms, ciphertexts: number): void {
  if (heReportRoot(header) !== root) {
    throw new HeError('REPORT_MISMATCH', 'the header is not the one that the vehicle signed');
  }
  if (header.keyHash !== terms.keyHash) {
    throw new HeError('KEY_MISMATCH', 'the report was made for another public key');
  }
  if (header.length !== terms.length || header.ciphertextHashes.length !== ciphertexts) {
    throw new HeError('REPORT_MISMATCH', `the report has ${header.length} values, not ${terms.length}`);
  }
}

/** Ciphertexts of a report of these terms. */
export function ciphertextsOf(terms: HeTerms, runtime: Pick<HeRuntime, 'parameters'>): number {
  return ciphertextsFor(terms.length, runtime.parameters);
}

/** Associated data of the sealed seed: domain ‖ context ‖ root. */
export function sealedSeedData(context: string, root: string): Uint8Array {
  return Buffer.concat([Buffer.from(SEAL_DOMAIN, 'ascii'), contextBytes(context), contextBytes(root)]);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function encryptAll(runtime: HeRuntime, publicKey: Uint8Array, chunks: readonly Slots[]): readonly Uint8Array[] {
  const { seal: library, context } = runtime;
  return withScope((own) => {
    const key = own(library.PublicKey());
    runtime.loadPublicKey(publicKey, key);
    const encryptor = own(library.Encryptor(context, key));
    const plaintext = own(library.PlainText());
    const ciphertext = own(library.CipherText());
    return chunks.map((slots) => {
      runtime.encode(slots, plaintext);
      encryptor.encrypt(plaintext, ciphertext);
      return runtime.saveCiphertext(ciphertext);
    });
  });
}
