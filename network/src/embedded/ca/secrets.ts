// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const scryptAsync = promisify(scrypt) as (secret: string, salt: Buffer, length: number) => Promise<Buffer>;

/** What is stored instead of an enrolment secret. */
export interface SecretHash {
  /**
   * `scrypt` for secrets that somebody chose. `sha256` for those the CA drew itself: 192 random bits cannot be searched
   * however fast the hash is, and a thousand vehicles enrol without a minute of scrypt.
   */
  readonly scheme: 'scrypt' | 'sha256';
  readonly salt: string;
  readonly hash: string;
}

async function digest(scheme: SecretHash['scheme'], salt: Buffer, secret: string): Promise<Buffer> {
  return scheme === 'scrypt'
    ? scryptAsync(secret, salt, 32)
    : createHash('sha256').update(salt).update(secret).digest();
}

/** A secret of 192 random bits. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

/** @param drawn whether `newSecret` made the secret, so that a fast hash is enough */
export async function hashSecret(secret: string, drawn: boolean): Promise<SecretHash> {
  const scheme = drawn ? 'sha256' : 'scrypt';
  const salt = randomBytes(16);
  return { scheme, salt: salt.toString('hex'), hash: (await digest(scheme, salt, secret)).toString('hex') };
}

/** Whether a secret is the one hashed. */
export async function secretMatches(stored: SecretHash, secret: string): Promise<boolean> {
  const actual = await digest(stored.scheme, Buffer.from(stored.salt, 'hex'), secret);
  return timingSafeEqual(actual, Buffer.from(stored.hash, 'hex'));
}
