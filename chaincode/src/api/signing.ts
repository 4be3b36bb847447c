// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { canonicalJson } from './canonical';

/**
 * Signatures over statements: ECDSA on P-256 with SHA-256 (FIPS 186-5), as r‖s of 64 bytes (IEEE P1363), base64url.
 * What is signed is the canonical JSON of an object whose `type` names its purpose and version, so that a signature
 * made for one purpose holds for no other.
 */
export interface Signable {
  readonly type: `sev/${string}/v${number}`;
}

/** Public keys travel as base64 of the DER SubjectPublicKeyInfo (RFC 5280), 91 bytes for P-256. */
export type PublicKeyText = string;

const P1363 = 'ieee-p1363';

/** Signs the canonical JSON of a statement. @returns base64url, 86 characters. */
export function signStatement(statement: Signable, privateKey: KeyObject): string {
  const data = Buffer.from(canonicalJson(statement));
  return sign('sha256', data, { key: privateKey, dsaEncoding: P1363 }).toString('base64url');
}

/** True where the signature holds for this statement and key; false for every malformed signature. */
export function verifyStatement(statement: Signable, signature: string, publicKey: KeyObject): boolean {
  const bytes = Buffer.from(signature, 'base64url');
  if (bytes.length !== 64 || bytes.toString('base64url') !== signature) {
    return false;
  }
  const data = Buffer.from(canonicalJson(statement));
  return verify('sha256', data, { key: publicKey, dsaEncoding: P1363 }, bytes);
}

export function publicKeyText(key: KeyObject): PublicKeyText {
  return key.export({ type: 'spki', format: 'der' }).toString('base64');
}

/** Everything of a P-256 key's SubjectPublicKeyInfo before the coordinates of its uncompressed point (RFC 5480). */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const P256_LENGTH = 91;

/** @returns the key, or undefined where the text is not the SubjectPublicKeyInfo of a P-256 key, in its one spelling. */
export function parsePublicKey(text: PublicKeyText): KeyObject | undefined {
  const der = Buffer.from(text, 'base64');
  const onP256 = der.length === P256_LENGTH && der.subarray(0, P256_PREFIX.length).equals(P256_PREFIX);
  if (!onP256 || der.toString('base64') !== text) {
    return undefined;
  }
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    // The point is not on the curve.
    return undefined;
  }
}
