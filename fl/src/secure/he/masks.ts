// SPDX-License-Identifier: Apache-2.0
import { createHash, hkdfSync } from 'node:crypto';
import { contextBytes, SEED_BYTES } from '../expand.js';
import { seededRandom } from '../random.js';
import { HeError } from './errors.js';
import type { HeParameters } from './parameters.js';
import type { Slots } from './slots.js';

const MASK_SALT = 'sev/secure/he-mask/v1';
const COMMITMENT_DOMAIN = 'sev/secure/he-mask-commitment/v1';
const WORD = 0x1_0000_0000;

/**
 * A mask uniform modulo t for every slot of a report, checksum slots included:
 *
 *   key = HKDF-SHA256(ikm = seed, salt = "sev/secure/he-mask/v1", info = context)                     (RFC 5869)
 *   stream = AES-256-CTR(key), in little-endian 64-bit words; of each the low ⌈log2 t⌉ bits; those ≥ t are skipped
 *
 * @param seed 32 uniform bytes, used for this report only.
 * @param context hex SHA-256 that names consortium, task, round, attempt, base and reporter.
 * @throws HeError MASK_MISMATCH where the seed has not 32 bytes; SecureError SECURE_OPTION_INVALID
 */
export function expandMask(
  seed: Uint8Array,
  context: string,
  ciphertexts: number,
  { polynomialDegree, plainModulus }: HeParameters,
): readonly Slots[] {
  checkSeed(seed);
  const key = hkdfSync('sha256', seed, MASK_SALT, contextBytes(context), 32);
  const random = seededRandom(new Uint8Array(key));
  // t lies between 2^32 and 2^40.
  const highMask = 2 ** (Math.ceil(Math.log2(plainModulus)) - 32) - 1;
  const draw = (words: DataView, offset: number): number =>
    (words.getUint32(offset + 4, true) & highMask) * WORD + words.getUint32(offset, true);
  return Array.from({ length: ciphertexts }, () => {
    const slots = new Float64Array(polynomialDegree);
    let words = view(random.nextBytes(8 * polynomialDegree));
    let offset = 0;
    for (let j = 0; j < slots.length; offset += 8) {
      if (offset === words.byteLength) {
        words = view(random.nextBytes(8));
        offset = 0;
      }
      const value = draw(words, offset);
      if (value < plainModulus) {
        slots[j++] = value;
      }
    }
    return slots;
  });
}

/**
 * SHA-256 of domain ‖ context ‖ seed, lower-case hex. The seed's 32 random bytes need no salt.
 *
 * @throws HeError MASK_MISMATCH where the seed has not 32 bytes; SecureError SECURE_OPTION_INVALID
 */
export function maskCommitment(seed: Uint8Array, context: string): string {
  checkSeed(seed);
  return createHash('sha256').update(COMMITMENT_DOMAIN).update(contextBytes(context)).update(seed).digest('hex');
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function checkSeed(seed: Uint8Array): void {
  if (seed.length !== SEED_BYTES) {
    throw new HeError('MASK_MISMATCH', `a mask seed has ${SEED_BYTES} bytes, not ${seed.length}`);
  }
}
