// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, hkdfSync } from 'node:crypto';
import { SecureError } from './errors.js';
import { ringSize, ringView, type RingBits, type RingVector } from './ring.js';

/** By the ring, so that a seed's components in two of them have nothing in common. */
const EXPAND_SALT: Readonly<Record<RingBits, string>> = {
  16: 'sev/secure/expand-16/v1',
  32: 'sev/secure/expand/v1',
};
export const SEED_BYTES = 32;
/** What key streams encrypt, kept because clearing memory takes a fifth of the time. Never written to. */
let zeros = new Uint8Array();

/**
 * A component of the sharing from its seed:
 *
 *   key = HKDF-SHA256(ikm = seed, salt = "sev/secure/expand/v1", info = context ‖ component), 32 bytes  (RFC 5869)
 *   values = AES-256-CTR(key, counter block 0) of zeros, read as little-endian uint32                  (SP 800-38A, 6.5)
 *
 * In the ring of 16 bits the salt is "sev/secure/expand-16/v1" and the values are little-endian uint16.
 *
 * Context and component in `info` make a seed that is used twice by mistake, or replayed by someone, give an unrelated
 * component elsewhere.
 *
 * @param seed 32 uniform bytes.
 * @param context hex SHA-256 that names consortium, task, round, attempt, base and reporter.
 * @param bits width of the ring; default 32.
 * @returns `length` values, pseudo-random in the ring.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function expandSeed(
  seed: Uint8Array,
  context: string,
  component: number,
  length: number,
  bits: RingBits = 32,
): RingVector {
  checkSeed(seed);
  const info = Buffer.concat([contextBytes(context), Uint8Array.of(component)]);
  const key = hkdfSync('sha256', seed, EXPAND_SALT[bits], info, 32);
  return ringView(keyStream(new Uint8Array(key), ringSize(length, bits)), length, bits);
}

/** The first bytes of the key stream of AES-256-CTR, counter block zero. A key serves one stream only. */
export function keyStream(key: Uint8Array, bytes: number): Uint8Array {
  if (zeros.length < bytes) {
    zeros = new Uint8Array(bytes);
  }
  return createCipheriv('aes-256-ctr', key, new Uint8Array(16)).update(zeros.subarray(0, bytes));
}

/** The 32 bytes of a context. @throws SecureError SECURE_OPTION_INVALID where it is not 64 digits of lower-case hex. */
export function contextBytes(context: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(context)) {
    throw new SecureError('SECURE_OPTION_INVALID', 'a context is a SHA-256 in lower-case hex');
  }
  return Buffer.from(context, 'hex');
}

function checkSeed(seed: Uint8Array): void {
  if (seed.length !== SEED_BYTES) {
    throw new SecureError('SECURE_OPTION_INVALID', `a seed has 32 bytes, not ${String(seed.length)}`);
  }
}
