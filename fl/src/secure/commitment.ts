// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { SecureError } from './errors.js';
import { contextBytes } from './expand.js';

const LEAF_DOMAIN = 'sev/secure/commitment/v1';
const ROOT_DOMAIN = 'sev/secure/commitment-root/v1';
export const SALT_BYTES = 32;

/**
 * Commitment to one component of a report:
 *
 *   SHA-256(‖LEAF_DOMAIN‖ LEAF_DOMAIN ‖ context ‖ component ‖ salt ‖ |content| as uint64 ‖ content)
 *
 * Every part has a fixed or a stated length, so no two inputs give the same bytes. Binding because SHA-256 resists
 * collisions; hiding because of the 32 random bytes of salt, taken as a random oracle: a holder of all the other
 * components who guesses the update can compute this content, but not the leaf.
 *
 * @param content the 32 bytes of a seed, or the values of the full component, little-endian.
 * @returns lower-case hex.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function commitComponent(context: string, component: number, salt: Uint8Array, content: Uint8Array): string {
  if (salt.length !== SALT_BYTES) {
    throw new SecureError('SECURE_OPTION_INVALID', `a salt has 32 bytes, not ${String(salt.length)}`);
  }
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(content.length));
  return createHash('sha256')
    .update(domain(LEAF_DOMAIN))
    .update(contextBytes(context))
    .update(Uint8Array.of(component))
    .update(salt)
    .update(size)
    .update(content)
    .digest('hex');
}

/**
 * What the vehicle signs: SHA-256(‖ROOT_DOMAIN‖ ROOT_DOMAIN ‖ number of leaves ‖ leaves). At most 35 leaves exist
 * (n = 7, t = 3), so every share carries all of them and a tree of hashes would save nothing.
 *
 * @param leaves commitments in the order of the components, lower-case hex.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function commitmentRoot(leaves: readonly string[]): string {
  const hash = createHash('sha256').update(domain(ROOT_DOMAIN)).update(Uint8Array.of(leaves.length));
  leaves.forEach((leaf) => hash.update(contextBytes(leaf)));
  return hash.digest('hex');
}

function domain(name: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(name.length), Buffer.from(name, 'ascii')]);
}
