// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** A value that JSON can carry. Numbers on the ledger are integers; the contracts' schemas see to that. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * The one encoding of everything that is hashed, signed or stored: the JSON Canonicalization Scheme, RFC 8785.
 *
 * @throws TypeError for values that JSON cannot carry (functions, undefined at the top, NaN).
 */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) {
    throw new TypeError('The value has no JSON form');
  }
  return text;
}

/** SHA-256 (FIPS 180-4) in lower-case hex: 64 characters. */
export function sha256Hex(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Hash of a record: SHA-256 over its canonical JSON. */
export function hashOf(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}
