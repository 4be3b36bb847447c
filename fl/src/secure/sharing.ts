// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { SALT_BYTES, commitComponent, commitmentRoot } from './commitment.js';
import { SecureError } from './errors.js';
import { SEED_BYTES, contextBytes, expandSeed } from './expand.js';
import type { RandomSource } from './random.js';
import { ringBitsOf, ringBytes, ringView, subtractFrom, type RingBits, type RingVector } from './ring.js';

/**
 * For each component of the sharing the indices of the aggregators that hold it, ascending: one component for each set
 * of t aggregators that do not hold it. For n = 3, t = 1: [[1, 2], [0, 2], [0, 1]]. (Ito, Saito, Nishizeki, "Secret
 * sharing scheme realizing general access structure", 1987)
 */
export type Holders = readonly (readonly number[])[];

/** One component with what its commitment needs. */
export interface CommittedComponent {
  readonly component: number;
  /** 32 bytes. */
  readonly salt: Uint8Array;
  /** A 32-byte seed; of the last component its values, little-endian, 4·length bytes (in the ring of 16 bits 2·length). */
  readonly content: Uint8Array;
}

/** A vector cut into components. All but leaves, root and ciphertext is secret. */
export interface SharedVector {
  readonly root: string;
  /** Commitments in the order of the components. */
  readonly leaves: readonly string[];
  readonly components: readonly CommittedComponent[];
  /** Encrypts the last component. 32 bytes. */
  readonly key: Uint8Array;
  /** The last component, AES-256-GCM: 16 bytes more than its values. */
  readonly ciphertext: Uint8Array;
  /** SHA-256 of the ciphertext, its address in the store. */
  readonly ciphertextHash: string;
}

const KEY_BYTES = 32;
const TAG_BYTES = 16;
/** A key encrypts one component of one report, so a constant nonce never repeats under a key. */
const NONCE = new Uint8Array(12);

/**
 * Replicated (CNF) additive sharing in the vector's ring Z_2^w:
 *
 *   vector = Σ_{i < c−1} expand(seed_i) + full   mod 2^w,   c = number of components
 *
 * Whoever lacks one component lacks a pseudo-random summand, so sees nothing of the vector. The full component is the last,
 * encrypted once for all its holders; upload about 1.0 × the vector whatever n.
 *
 * Draws from `random`, in this order: for each component its seed (none for the last) and its salt, then the key. The
 * same source gives the same bytes.
 *
 * @param vector length d + m.
 * @param context hex SHA-256 that names the report's place.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function shareVector(vector: RingVector, context: string, holders: Holders, random: RandomSource): SharedVector {
  checkHolders(holders);
  const bits = ringBitsOf(vector);
  const last = holders.length - 1;
  const full = vector.slice();
  const components = holders.map((_, component): CommittedComponent => {
    const seed = component < last ? random.nextBytes(SEED_BYTES) : undefined;
    const salt = random.nextBytes(SALT_BYTES);
    if (seed === undefined) {
      return { component, salt, content: ringBytes(full) };
    }
    subtractFrom(full, expandSeed(seed, context, component, full.length, bits));
    return { component, salt, content: seed };
  });
  const leaves = components.map(({ component, salt, content }) => commitComponent(context, component, salt, content));
  const key = random.nextBytes(KEY_BYTES);
  const ciphertext = encrypt(key, components[last]?.content ?? new Uint8Array(), context);
  return { root: commitmentRoot(leaves), leaves, components, key, ciphertext, ciphertextHash: sha256(ciphertext) };
}

/**
 * The values of a component from its content; where they are the content itself, not to be changed.
 *
 * @param count number of components of the sharing.
 * @param length d + m.
 * @param bits width of the ring; default 32.
 * @throws SecureError RING_LENGTH, SECURE_OPTION_INVALID
 */
export function componentValues(
  { component, content }: Pick<CommittedComponent, 'component' | 'content'>,
  count: number,
  context: string,
  length: number,
  bits: RingBits = 32,
): RingVector {
  return component === count - 1
    ? ringView(content, length, bits)
    : expandSeed(content, context, component, length, bits);
}

/**
 * Opens the full component.
 *
 * @param ciphertext what the store gave for `ciphertextHash`.
 * @param size bytes of its values.
 * @returns the values, little-endian.
 * @throws SecureError SHARE_INCOMPLETE where the store gave other bytes; SHARE_MISMATCH where the vehicle's key does not
 *   open its own ciphertext or that is of another length.
 */
export function decryptFull(
  { key, ciphertextHash }: { readonly key: Uint8Array; readonly ciphertextHash: string },
  ciphertext: Uint8Array,
  context: string,
  size: number,
): Uint8Array {
  try {
    return decrypt(key, ciphertext, context, size);
  } catch (cause) {
    // Only now, because the tag already vouches for the bytes: hashing each vector again would cost more than opening.
    if (sha256(ciphertext) !== ciphertextHash) {
      throw new SecureError('SHARE_INCOMPLETE', 'the store gave other bytes for the full component', { cause });
    }
    throw new SecureError('SHARE_MISMATCH', 'the key in the share does not open the full component', { cause });
  }
}

/** The bytes of an AES-256-GCM ciphertext ‖ tag (NIST SP 800-38D), bound to the context. */
function encrypt(key: Uint8Array, plaintext: Uint8Array, context: string): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, NONCE);
  cipher.setAAD(contextBytes(context));
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, ciphertext: Uint8Array, context: string, size: number): Uint8Array {
  if (ciphertext.length !== size + TAG_BYTES) {
    throw new SecureError('RING_LENGTH', `${String(ciphertext.length)} bytes, not ${String(size + TAG_BYTES)}`);
  }
  const decipher = createDecipheriv('aes-256-gcm', key, NONCE, { authTagLength: TAG_BYTES });
  decipher.setAAD(contextBytes(context));
  decipher.setAuthTag(ciphertext.subarray(size));
  const plaintext = decipher.update(ciphertext.subarray(0, size));
  decipher.final();
  return plaintext;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function checkHolders(holders: Holders): void {
  const indices = holders.flat();
  if (
    holders.length < 2 ||
    holders.length > 255 ||
    holders.some((group) => group.length === 0) ||
    indices.some((index) => !Number.isInteger(index) || index < 0 || index > 255)
  ) {
    throw new SecureError('SECURE_OPTION_INVALID', 'a sharing has 2 to 255 components, each with holders from 0 on');
  }
}
