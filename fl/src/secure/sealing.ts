// SPDX-License-Identifier: Apache-2.0
import { generateKeyPair as generate, type ECDH } from 'node:crypto';
import { promisify } from 'node:util';
import { SecureError } from './errors.js';
import { CURVE, ENC_BYTES, generateKeyPair, keyPairOf, openBase, sealBase, type HpkeTerms } from './hpke.js';

const INFO = new TextEncoder().encode('sev/secure/seal/v1');

/** SubjectPublicKeyInfo of a key on P-256 up to its uncompressed point (RFC 5480). */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
/** PKCS#8 of a key on P-256 up to its 32 bytes (RFC 5958, RFC 5915), then what precedes its point. */
const PKCS8_PREFIX = Buffer.from('308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420', 'hex');
const PKCS8_MIDDLE = Buffer.from('a144034200', 'hex');
const SCALAR_BYTES = 32;

export interface SealingKey {
  /** SubjectPublicKeyInfo in base64. */
  readonly publicKey: string;
  /** PKCS#8. */
  readonly privateKey: Uint8Array;
}

/** A fresh key pair on P-256 from the operating system's randomness. */
export async function newSealingKey(): Promise<SealingKey> {
  const { publicKey, privateKey } = await promisify(generate)('ec', {
    namedCurve: CURVE,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return { publicKey: publicKey.toString('base64'), privateKey: new Uint8Array(privateKey) };
}

/**
 * Seals to a public key by HPKE, mode base, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM (RFC 9180, section 6.1).
 * Whoever opens it learns nothing about who sealed it; what binds a share to its vehicle is the signed commitment.
 *
 * @param publicKey SubjectPublicKeyInfo in base64.
 * @param associatedData authenticated, not sent along.
 * @returns enc ‖ ciphertext: 65 + |plaintext| + 16 bytes.
 * @throws SecureError SEALING_KEY_INVALID
 */
export function seal(publicKey: string, plaintext: Uint8Array, associatedData: Uint8Array): Promise<Uint8Array> {
  return promised(() => {
    const point = pointOf(publicKey);
    try {
      return sealBase(point, generateKeyPair(), plaintext, termsOf(associatedData));
    } catch (cause) {
      throw new SecureError('SEALING_KEY_INVALID', 'the key is no point on P-256', { cause });
    }
  });
}

/**
 * Opens what {@link seal} made.
 *
 * @param privateKey PKCS#8 as {@link newSealingKey} gave it.
 * @throws SecureError SHARE_UNREADABLE where key, associated data or a single bit differ; SEALING_KEY_INVALID
 */
export function unseal(privateKey: Uint8Array, sealed: Uint8Array, associatedData: Uint8Array): Promise<Uint8Array> {
  return promised(() => {
    const pair = pairOf(privateKey);
    try {
      return openBase(pair, sealed, termsOf(associatedData));
    } catch (cause) {
      throw new SecureError('SHARE_UNREADABLE', 'it does not open with this key and these associated data', { cause });
    }
  });
}

function termsOf(associatedData: Uint8Array): HpkeTerms {
  return { aead: 'aes-256-gcm', info: INFO, associatedData };
}

/** Sealing blocks for a fraction of a millisecond; a promise keeps it where a key may one day lie in a device. */
function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

/** Keys have one form here, so they are cut out of it: OpenSSL's import of a key costs more than sealing with it. */
function pointOf(publicKey: string): Uint8Array {
  const spki = Buffer.from(publicKey, 'base64');
  if (spki.length !== SPKI_PREFIX.length + ENC_BYTES || !spki.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX)) {
    throw new SecureError('SEALING_KEY_INVALID', 'not a key on P-256 in spki');
  }
  return spki.subarray(SPKI_PREFIX.length);
}

function pairOf(privateKey: Uint8Array): ECDH {
  const pkcs8 = Buffer.from(privateKey.buffer, privateKey.byteOffset, privateKey.length);
  const scalarAt = PKCS8_PREFIX.length;
  const middleAt = scalarAt + SCALAR_BYTES;
  const pointAt = middleAt + PKCS8_MIDDLE.length;
  if (
    pkcs8.length !== pointAt + ENC_BYTES ||
    !pkcs8.subarray(0, scalarAt).equals(PKCS8_PREFIX) ||
    !pkcs8.subarray(middleAt, pointAt).equals(PKCS8_MIDDLE)
  ) {
    throw new SecureError('SEALING_KEY_INVALID', 'not a key on P-256 in pkcs8');
  }
  try {
    return keyPairOf(pkcs8.subarray(scalarAt, middleAt));
  } catch (cause) {
    throw new SecureError('SEALING_KEY_INVALID', 'not a key on P-256 in pkcs8', { cause });
  }
}
