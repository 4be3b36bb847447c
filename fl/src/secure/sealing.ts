// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core';
import { SecureError } from './errors.js';

/** RFC 9180, mode base: DHKEM(P-256, HKDF-SHA256) 0x0010, HKDF-SHA256 0x0001, AES-256-GCM 0x0002. */
const suite = new CipherSuite({
  kem: new DhkemP256HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});
const INFO = new TextEncoder().encode('sev/secure/seal/v1');
const CURVE = { name: 'ECDH', namedCurve: 'P-256' } as const;
/** Nenc of DHKEM(P-256): an uncompressed point. */
const ENC_BYTES = 65;

/**
 * Imported keys, because importing costs as much as sealing and a round has few keys. A private key stays here no longer
 * than its owner keeps the bytes it was given as.
 */
const publicKeys = new Map<string, webcrypto.CryptoKey>();
const privateKeys = new WeakMap<Uint8Array, webcrypto.CryptoKeyPair>();
const MAX_PUBLIC_KEYS = 64;

export interface SealingKey {
  /** SubjectPublicKeyInfo in base64. */
  readonly publicKey: string;
  /** PKCS#8. */
  readonly privateKey: Uint8Array;
}

/** A fresh key pair on P-256 from the operating system's randomness. */
export async function newSealingKey(): Promise<SealingKey> {
  const { publicKey, privateKey } = await webcrypto.subtle.generateKey(CURVE, true, ['deriveBits']);
  const [spki, pkcs8] = await Promise.all([
    webcrypto.subtle.exportKey('spki', publicKey),
    webcrypto.subtle.exportKey('pkcs8', privateKey),
  ]);
  return { publicKey: Buffer.from(spki).toString('base64'), privateKey: new Uint8Array(pkcs8) };
}

/**
 * Seals to a public key: SetupBaseS, then one Seal (RFC 9180, sections 5.1.1 and 6.1). Whoever opens it learns nothing
 * about who sealed it; what binds a share to its vehicle is the signed commitment.
 *
 * @param publicKey SubjectPublicKeyInfo in base64.
 * @param associatedData authenticated, not sent along.
 * @returns enc ‖ ciphertext: 65 + |plaintext| + 16 bytes.
 * @throws SecureError SEALING_KEY_INVALID
 */
export async function seal(publicKey: string, plaintext: Uint8Array, associatedData: Uint8Array): Promise<Uint8Array> {
  const recipientPublicKey = await importPublicKey(publicKey);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: INFO });
  const ciphertext = await sender.seal(plaintext, associatedData);
  return Buffer.concat([new Uint8Array(sender.enc), new Uint8Array(ciphertext)]);
}

/**
 * Opens what {@link seal} made.
 *
 * @param privateKey PKCS#8; not to be altered afterwards.
 * @throws SecureError SHARE_UNREADABLE where key, associated data or a single bit differ; SEALING_KEY_INVALID
 */
export async function unseal(
  privateKey: Uint8Array,
  sealed: Uint8Array,
  associatedData: Uint8Array,
): Promise<Uint8Array> {
  const recipientKey = await importPrivateKey(privateKey);
  try {
    const enc = sealed.slice(0, ENC_BYTES);
    const recipient = await suite.createRecipientContext({ recipientKey, enc, info: INFO });
    return new Uint8Array(await recipient.open(sealed.slice(ENC_BYTES), associatedData));
  } catch (error) {
    throw new SecureError('SHARE_UNREADABLE', 'it does not open with this key and these associated data', {
      cause: error,
    });
  }
}

async function importPublicKey(publicKey: string): Promise<webcrypto.CryptoKey> {
  const known = publicKeys.get(publicKey);
  if (known !== undefined) {
    return known;
  }
  const imported = await importKey('spki', Buffer.from(publicKey, 'base64'));
  if (publicKeys.size >= MAX_PUBLIC_KEYS) {
    publicKeys.clear();
  }
  publicKeys.set(publicKey, imported);
  return imported;
}

/** With its public half, which decapsulation needs (RFC 9180, section 4.1: pkRm in kem_context). */
async function importPrivateKey(privateKey: Uint8Array): Promise<webcrypto.CryptoKeyPair> {
  const known = privateKeys.get(privateKey);
  if (known !== undefined) {
    return known;
  }
  const pair = { privateKey: await importKey('pkcs8', privateKey), publicKey: await publicHalf(privateKey) };
  privateKeys.set(privateKey, pair);
  return pair;
}

function publicHalf(privateKey: Uint8Array): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' });
  return importKey('spki', createPublicKey(pkcs8).export({ format: 'der', type: 'spki' }));
}

async function importKey(format: 'spki' | 'pkcs8', key: Uint8Array): Promise<webcrypto.CryptoKey> {
  try {
    return await webcrypto.subtle.importKey(format, key, CURVE, true, format === 'spki' ? [] : ['deriveBits']);
  } catch (error) {
    throw new SecureError('SEALING_KEY_INVALID', `not a key on P-256 in ${format}`, { cause: error });
  }
}
