// SPDX-License-Identifier: Apache-2.0
import { EXIT, SevError } from '../errors.js';

/** Largest object that a store takes unless told otherwise: 64 MiB, a model of 16 million parameters. */
export const DEFAULT_MAX_OBJECT_BYTES = 64 * 1024 * 1024;

/** Keeps bytes under their SHA-256. What `get` returns has the hash that was asked for, or it throws. */
export interface ObjectStore {
  /** Keeps the bytes, durably; keeping the same bytes again changes nothing. @returns SHA-256, 64 hex characters. */
  put(bytes: Uint8Array): Promise<string>;
  /** @throws SevError OBJECT_MISSING, CONTENT_HASH_MISMATCH. */
  get(hash: string): Promise<Uint8Array>;
  has(hash: string): Promise<boolean>;
}

const HASH = /^[0-9a-f]{64}$/;

/** @throws SevError OBJECT_NAME_INVALID unless the text is a SHA-256 in lower-case hex. */
export function assertHash(hash: string): void {
  if (!HASH.test(hash)) {
    throw new SevError('OBJECT_NAME_INVALID', 'An object is named by its SHA-256 in lower-case hex', {
      exitCode: EXIT.usage,
    });
  }
}

export function objectMissing(hash: string): SevError {
  return new SevError('OBJECT_MISSING', `The store holds no object ${hash}`, {
    hint: 'Ask whoever produced it to put it into the store again.',
  });
}

export function contentHashMismatch(hash: string, actual: string): SevError {
  return new SevError('CONTENT_HASH_MISMATCH', `The bytes under ${hash} hash to ${actual}`, {
    hint: 'The object was changed or damaged; do not use it.',
    exitCode: EXIT.integrity,
  });
}

export function objectTooLarge(bytes: number, limit: number): SevError {
  return new SevError('OBJECT_TOO_LARGE', `The object has ${String(bytes)} bytes; the store takes ${String(limit)}`, {
    exitCode: EXIT.usage,
  });
}
