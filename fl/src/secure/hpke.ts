// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createDecipheriv, createECDH, createHmac, type ECDH } from 'node:crypto';

/**
 * Hybrid public key encryption (RFC 9180) of single messages: mode base, DHKEM(P-256, HKDF-SHA256) 0x0010, HKDF-SHA256
 * 0x0001 and AES-GCM, on node:crypto. Each function is one of the RFC's; it names the section.
 */
export type HpkeAead = 'aes-128-gcm' | 'aes-256-gcm';

/** Name of P-256 in OpenSSL. */
export const CURVE = 'prime256v1';
/** Nenc: an uncompressed point. */
export const ENC_BYTES = 65;
const UNCOMPRESSED = 0x04;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const SECRET_BYTES = 32;
const EMPTY = new Uint8Array();

const VERSION = Buffer.from('HPKE-v1', 'ascii');
/** suite_id of the KEM and, by AEAD, of the whole (sections 4.1 and 5.1). */
const KEM_SUITE = Buffer.from([...Buffer.from('KEM', 'ascii'), 0, 0x10]);
const HPKE_SUITE: Readonly<Record<HpkeAead, Buffer>> = {
  'aes-128-gcm': Buffer.from([...Buffer.from('HPKE', 'ascii'), 0, 0x10, 0, 1, 0, 1]),
  'aes-256-gcm': Buffer.from([...Buffer.from('HPKE', 'ascii'), 0, 0x10, 0, 1, 0, 2]),
};
const KEY_BYTES: Readonly<Record<HpkeAead, number>> = { 'aes-128-gcm': 16, 'aes-256-gcm': 32 };

/** What both sides agree on beside the keys. */
export interface HpkeTerms {
  readonly aead: HpkeAead;
  readonly info: Uint8Array;
  /** Authenticated, not sent along. */
  readonly associatedData: Uint8Array;
}

/**
 * SealBase (section 6.1).
 *
 * @param recipient uncompressed point, 65 bytes.
 * @param ephemeral a fresh key pair, used for this message only.
 * @returns enc ‖ ciphertext: 65 + |plaintext| + 16 bytes.
 * @throws Error where the recipient's key is no point of the curve.
 */
export function sealBase(recipient: Uint8Array, ephemeral: ECDH, plaintext: Uint8Array, terms: HpkeTerms): Uint8Array {
  const enc = ephemeral.getPublicKey();
  const secret = extractAndExpand(diffieHellman(ephemeral, recipient), enc, recipient);
  const { key, nonce } = keySchedule(secret, terms);
  const cipher = createCipheriv(terms.aead, key, nonce).setAAD(terms.associatedData);
  return Buffer.concat([enc, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/**
 * OpenBase (section 6.1).
 *
 * @param sealed what {@link sealBase} gave.
 * @throws Error where key, info, associated data or a single bit differ.
 */
export function openBase(recipient: ECDH, sealed: Uint8Array, terms: HpkeTerms): Uint8Array {
  const end = sealed.length - TAG_BYTES;
  if (end < ENC_BYTES) {
    throw new RangeError('a sealed message is not shorter than a point and a tag');
  }
  const enc = sealed.subarray(0, ENC_BYTES);
  const secret = extractAndExpand(diffieHellman(recipient, enc), enc, recipient.getPublicKey());
  const { key, nonce } = keySchedule(secret, terms);
  const decipher = createDecipheriv(terms.aead, key, nonce, { authTagLength: TAG_BYTES }).setAAD(terms.associatedData);
  decipher.setAuthTag(sealed.subarray(end));
  return Buffer.concat([decipher.update(sealed.subarray(ENC_BYTES, end)), decipher.final()]);
}

/** A fresh key pair from the operating system's randomness. */
export function generateKeyPair(): ECDH {
  const pair = createECDH(CURVE);
  pair.generateKeys();
  return pair;
}

/** DeriveKeyPair (section 7.1.3); the first candidate is valid but for a probability of 2^−32. */
export function deriveKeyPair(ikm: Uint8Array): ECDH {
  const prk = labeledExtract(KEM_SUITE, EMPTY, 'dkp_prk', ikm);
  return keyPairOf(labeledExpand(KEM_SUITE, prk, 'candidate', Uint8Array.of(0), SECRET_BYTES));
}

/** @param privateKey 32 bytes, big-endian. @throws Error where it is 0 or not below the group's order. */
export function keyPairOf(privateKey: Uint8Array): ECDH {
  const pair = createECDH(CURVE);
  pair.setPrivateKey(privateKey);
  return pair;
}

/** DH and the checks of section 7.1.4: the one form of a point that section 7.1.1 allows, and it lies on the curve. */
function diffieHellman(own: ECDH, point: Uint8Array): Buffer {
  if (point.length !== ENC_BYTES || point[0] !== UNCOMPRESSED) {
    throw new RangeError('not an uncompressed point');
  }
  return own.computeSecret(point);
}

/** ExtractAndExpand (section 4.1), with kem_context = enc ‖ pkRm. */
function extractAndExpand(dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Buffer {
  const prk = labeledExtract(KEM_SUITE, EMPTY, 'eae_prk', dh);
  return labeledExpand(KEM_SUITE, prk, 'shared_secret', Buffer.concat([enc, recipient]), SECRET_BYTES);
}

/** KeySchedule (section 5.1), mode base 0x00, no pre-shared key; the first message's nonce is the base nonce. */
function keySchedule(secret: Uint8Array, { aead, info }: HpkeTerms): { key: Buffer; nonce: Buffer } {
  const suite = HPKE_SUITE[aead];
  const context = Buffer.concat([
    Uint8Array.of(0),
    labeledExtract(suite, EMPTY, 'psk_id_hash', EMPTY),
    labeledExtract(suite, EMPTY, 'info_hash', info),
  ]);
  const prk = labeledExtract(suite, secret, 'secret', EMPTY);
  return {
    key: labeledExpand(suite, prk, 'key', context, KEY_BYTES[aead]),
    nonce: labeledExpand(suite, prk, 'base_nonce', context, NONCE_BYTES),
  };
}

/** LabeledExtract (section 4). */
function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Buffer {
  return createHmac('sha256', salt).update(VERSION).update(suite).update(label).update(ikm).digest();
}

/** LabeledExpand (section 4) up to 32 bytes, one block of HKDF-Expand (RFC 5869, section 2.3). */
function labeledExpand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, bytes: number): Buffer {
  const block = createHmac('sha256', prk).update(Uint8Array.of(0, bytes)).update(VERSION).update(suite);
  return block.update(label).update(info).update(Uint8Array.of(1)).digest().subarray(0, bytes);
}
