// SPDX-License-Identifier: Apache-2.0
import type { SecretKey } from 'node-seal/implementation/secret-key.js';
import { HeError } from './errors.js';
import { sha256 } from './report.js';
import { withScope, type HeRuntime } from './runtime.js';
import type { Slots } from './slots.js';

/**
 * Holds the secret key of one round, in memory only: a key holder that stops is a round that aborts. What it decrypts is
 * masked. It decrypts one sum, once.
 */
export class HeKeyHolder {
  /** For the vehicles. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of the public key, for the round's opening. */
  readonly keyHash: string;
  readonly #runtime: HeRuntime;
  #secretKey: SecretKey | undefined;
  #opened: { readonly hash: string; readonly masked: readonly Slots[] } | undefined;

  /** Makes a fresh key pair. */
  constructor(runtime: HeRuntime) {
    this.#runtime = runtime;
    const { secretKey, publicKey } = newKeyPair(runtime);
    this.#secretKey = secretKey;
    this.publicKey = publicKey;
    this.keyHash = sha256(publicKey);
  }

  /**
   * Decrypts the sum of the cohort; the same sum again gives the same answer.
   *
   * @param sum ciphertexts of the summer.
   * @returns sums plus masks modulo t, by slot.
   * @throws HeError ALREADY_OPENED for a second sum, NOISE_EXHAUSTED, CIPHERTEXT_MALFORMED, PARTY_CLOSED
   */
  decrypt(sum: readonly Uint8Array[]): readonly Slots[] {
    const secretKey = this.#secretKey;
    if (secretKey === undefined) {
      throw new HeError('PARTY_CLOSED', 'the key of this round has been destroyed');
    }
    const hash = sha256(Buffer.concat(sum));
    if (this.#opened !== undefined) {
      if (this.#opened.hash !== hash) {
        throw new HeError('ALREADY_OPENED', 'another sum was decrypted with this key');
      }
      return this.#opened.masked.map((slots) => slots.slice());
    }
    const masked = decryptSum(this.#runtime, secretKey, sum);
    this.#opened = { hash, masked };
    return masked.map((slots) => slots.slice());
  }

  /** Destroys the key: SEAL overwrites a secret key's memory when it frees it. */
  close(): void {
    this.#secretKey?.delete();
    this.#secretKey = undefined;
    this.#opened = undefined;
  }
}

/** A fresh pair; the secret key is the caller's to delete. */
export function newKeyPair(runtime: HeRuntime): { readonly secretKey: SecretKey; readonly publicKey: Uint8Array } {
  const { seal, context } = runtime;
  return withScope((own) => {
    const generator = own(seal.KeyGenerator(context));
    const publicKey = runtime.savePublicKey(own(generator.createPublicKey()));
    // What the library's own secretKey() does, but that it never frees the first of its two copies.
    const first = own((generator.instance as { secretKey(): { delete(): void } }).secretKey());
    const secretKey = seal.SecretKey();
    secretKey.inject(first);
    return { publicKey, secretKey };
  });
}

/**
 * What ciphertexts decrypt to, without asking whether they should be.
 *
 * @throws HeError NOISE_EXHAUSTED, CIPHERTEXT_MALFORMED
 */
export function decryptSum(runtime: HeRuntime, secretKey: SecretKey, sum: readonly Uint8Array[]): readonly Slots[] {
  const { seal, context } = runtime;
  return withScope((own) => {
    const decryptor = own(seal.Decryptor(context, secretKey));
    const ciphertext = own(seal.CipherText());
    const plaintext = own(seal.PlainText());
    return sum.map((bytes): Slots => {
      runtime.loadCiphertext(bytes, ciphertext);
      if (decryptor.invariantNoiseBudget(ciphertext) === 0) {
        throw new HeError('NOISE_EXHAUSTED', 'the sum does not decrypt with the key of this round');
      }
      decryptor.decrypt(ciphertext, plaintext);
      return runtime.decode(plaintext);
    });
  });
}
