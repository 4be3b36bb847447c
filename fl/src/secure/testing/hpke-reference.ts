// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createDecipheriv, createECDH, createHmac, type ECDH } from 'node:crypto';

/**
 * A second implementation of RFC 9180, mode base, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and AES-GCM, one message, on
 * node:crypto: what the sealing is compared with, because the RFC prints no vectors for P-256 with AES-256-GCM. It is itself
 * checked against those of appendix A.3.
 */
export interface ReferenceSuite {
  readonly aead: 'aes-128-gcm' | 'aes-256-gcm';
}

const HPKE = Buffer.from('HPKE-v1', 'ascii');
const KEM_SUITE = Buffer.concat([Buffer.from('KEM', 'ascii'), Buffer.from([0x00, 0x10])]);
const EMPTY = new Uint8Array();
const TAG_BYTES = 16;

const hpkeSuite = ({ aead }: ReferenceSuite): Buffer =>
  Buffer.concat([Buffer.from('HPKE', 'ascii'), Buffer.from([0, 0x10, 0, 1, 0, aead === 'aes-128-gcm' ? 1 : 2])]);
const keyBytes = ({ aead }: ReferenceSuite): number => (aead === 'aes-128-gcm' ? 16 : 32);

/** Section 4: LabeledExtract. */
function extract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Buffer {
  return createHmac('sha256', salt).update(HPKE).update(suite).update(label).update(ikm).digest();
}

/** Section 4: LabeledExpand, up to 32 bytes, which is one block of HKDF-Expand. */
function expand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, bytes: number): Buffer {
  const size = Buffer.from([0, bytes]);
  const block = createHmac('sha256', prk).update(size).update(HPKE).update(suite).update(label).update(info);
  return block.update(Uint8Array.of(1)).digest().subarray(0, bytes);
}

/** Section 7.1.3: DeriveKeyPair for P-256; the first candidate is valid but for a probability of 2^−32. */
export function deriveKeyPair(ikm: Uint8Array): ECDH {
  const prk = extract(KEM_SUITE, EMPTY, 'dkp_prk', ikm);
  return keyPairOf(expand(KEM_SUITE, prk, 'candidate', Uint8Array.of(0), 32));
}

export function keyPairOf(privateKey: Uint8Array): ECDH {
  const pair = createECDH('prime256v1');
  pair.setPrivateKey(privateKey);
  return pair;
}

/** Section 4.1: ExtractAndExpand of the shared secret. */
function sharedSecret(dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Buffer {
  const prk = extract(KEM_SUITE, EMPTY, 'eae_prk', dh);
  return expand(KEM_SUITE, prk, 'shared_secret', Buffer.concat([enc, recipient]), 32);
}

/** Section 5.1: KeySchedule, mode base. */
function keySchedule(suite: ReferenceSuite, secret: Uint8Array, info: Uint8Array): { key: Buffer; nonce: Buffer } {
  const id = hpkeSuite(suite);
  const context = Buffer.concat([
    Uint8Array.of(0),
    extract(id, EMPTY, 'psk_id_hash', EMPTY),
    extract(id, EMPTY, 'info_hash', info),
  ]);
  const prk = extract(id, secret, 'secret', EMPTY);
  return {
    key: expand(id, prk, 'key', context, keyBytes(suite)),
    nonce: expand(id, prk, 'base_nonce', context, 12),
  };
}

/** @returns enc ‖ ciphertext of the first message. */
export function referenceSeal(
  suite: ReferenceSuite,
  o: { ephemeral: ECDH; recipient: Uint8Array; info: Uint8Array; plaintext: Uint8Array; associatedData: Uint8Array },
): Buffer {
  const enc = o.ephemeral.getPublicKey();
  const secret = sharedSecret(o.ephemeral.computeSecret(o.recipient), enc, o.recipient);
  const { key, nonce } = keySchedule(suite, secret, o.info);
  const cipher = createCipheriv(suite.aead, key, nonce).setAAD(o.associatedData);
  return Buffer.concat([enc, cipher.update(o.plaintext), cipher.final(), cipher.getAuthTag()]);
}

export function referenceOpen(
  suite: ReferenceSuite,
  o: { recipient: ECDH; sealed: Uint8Array; info: Uint8Array; associatedData: Uint8Array },
): Buffer {
  const enc = o.sealed.subarray(0, 65);
  const secret = sharedSecret(o.recipient.computeSecret(enc), enc, o.recipient.getPublicKey());
  const { key, nonce } = keySchedule(suite, secret, o.info);
  const decipher = createDecipheriv(suite.aead, key, nonce).setAAD(o.associatedData);
  decipher.setAuthTag(o.sealed.subarray(o.sealed.length - TAG_BYTES));
  return Buffer.concat([decipher.update(o.sealed.subarray(65, o.sealed.length - TAG_BYTES)), decipher.final()]);
}
