// SPDX-License-Identifier: Apache-2.0
import { hkdfSync } from 'node:crypto';
import { SecureError } from './errors.js';
import { contextBytes, keyStream } from './expand.js';
import type { RingVector } from './ring.js';

const PROJECTION_SALT = 'sev/secure/projection/v1';

/**
 * K random vectors over {−1, 0, 1} with probabilities ¼, ½, ¼, so E⟨u, v⟩² = ‖u‖² / 2. (Achlioptas, "Database-friendly
 * random projections", 2003; ±1 alone would not see 2^31 in two coordinates, which add up to 0 mod 2^32.)
 *
 *   key = HKDF-SHA256(ikm = seed, salt = "sev/secure/projection/v1", info = ""), 32 bytes
 *   v_k[i] = b_2i − b_2i+1, where b are the bits of the bytes k·⌈d/4⌉ on of AES-256-CTR(key), least significant first in
 *   each byte
 *
 * @param seed the round's seed, hex of 32 bytes, that nobody knew before the cohort was fixed.
 * @param count K, at most 255.
 * @param length d.
 * @throws SecureError SECURE_OPTION_INVALID
 */
export function projectionVectors(seed: string, count: number, length: number): readonly Int8Array[] {
  if (!Number.isInteger(count) || count < 0 || count > 255) {
    throw new SecureError('SECURE_OPTION_INVALID', `${String(count)} is not a number of projections: 0 to 255`);
  }
  const key = hkdfSync('sha256', contextBytes(seed), PROJECTION_SALT, new Uint8Array(), 32);
  const stride = Math.ceil(length / 4);
  const stream = keyStream(new Uint8Array(key), count * stride);
  return Array.from({ length: count }, (_, k) => ternary(stream.subarray(k * stride, (k + 1) * stride), length));
}

function ternary(bits: Uint8Array, length: number): Int8Array {
  const vector = new Int8Array(length);
  for (let i = 0; i < length; i++) {
    const pair = (bits[i >> 2] as number) >> (2 * (i & 3));
    vector[i] = (pair & 1) - ((pair >> 1) & 1);
  }
  return vector;
}

/** ‖v‖ of each vector, from exact integer sums. */
export function vectorNorms(vectors: readonly Int8Array[]): readonly number[] {
  return vectors.map((vector) => {
    let squares = 0;
    for (let i = 0; i < vector.length; i++) {
      squares += (vector[i] as number) * (vector[i] as number);
    }
    return Math.sqrt(squares);
  });
}

/** Vectors whose values at a coordinate make one byte, two bits each, so that one addition serves their projections. */
const GROUP = 4;
const PATTERNS = 4 ** GROUP;
/** Groups that go through a component together. */
const GROUPS = 2;

/** By the vectors they were made from: a round projects all its reports along the same. */
const knownPatterns = new WeakMap<readonly Int8Array[], readonly Uint16Array[]>();

/**
 * ⟨component, v_k⟩ mod 2^32 for each k, over the first d coordinates; what follows them (metrics) is left alone. Linear:
 * the projections of all components of a vehicle add up to those of its update.
 *
 * Coordinates at which four vectors have the same values are added up first and multiplied once: a quarter of the work.
 * (The method of the four Russians: Arlazarov, Dinic, Kronrod, Faradžev 1970)
 *
 * @param component at least d values.
 * @param vectors not to be changed between calls.
 * @returns K values; added over the components and read as int32 they are the update's projections.
 * @throws SecureError RING_LENGTH; RING_TOO_NARROW for a component of the ring of 16 bits, which projections would leave.
 */
export function project(component: RingVector, vectors: readonly Int8Array[]): Uint32Array {
  if (!(component instanceof Uint32Array)) {
    throw new SecureError('RING_TOO_NARROW', 'projections need the ring of 32 bits');
  }
  const longest = vectors.reduce((length, vector) => Math.max(length, vector.length), 0);
  if (longest > component.length) {
    throw new SecureError('RING_LENGTH', `${String(component.length)} values for vectors of ${String(longest)}`);
  }
  const known = knownPatterns.get(vectors) ?? patternsOf(vectors, longest);
  knownPatterns.set(vectors, known);
  const result = new Uint32Array(vectors.length);
  known.forEach((patterns, pair) => {
    const sums = sumsByPattern(component, patterns);
    const first = pair * GROUPS * GROUP;
    result.subarray(first, first + GROUPS * GROUP).forEach((_, k, own) => {
      own[k] = signedSum(sums, Math.floor(k / GROUP), k % GROUP);
    });
  });
  return result;
}

/** For each eight vectors the pattern of their values at each coordinate; beyond a vector's end its value is 0. */
function patternsOf(vectors: readonly Int8Array[], length: number): readonly Uint16Array[] {
  const together = GROUPS * GROUP;
  return Array.from({ length: Math.ceil(vectors.length / together) }, (_, pair) => {
    const patterns = new Uint16Array(length);
    vectors.slice(pair * together, (pair + 1) * together).forEach((vector, k) => {
      for (let i = 0; i < length; i++) {
        patterns[i] = (patterns[i] as number) | (((vector[i] ?? 0) + 1) << (2 * k));
      }
    });
    return patterns;
  });
}

/**
 * Adds up the coordinates of each pattern, of both groups. Four in a row go to sums of their own: often they have the
 * same pattern, and an addition to a sum in memory has to wait for the one before.
 *
 * @returns one sum a pattern: those of the low byte, then those of the high byte.
 */
function sumsByPattern(component: Uint32Array, patterns: Uint16Array): Int32Array {
  const lane = GROUPS * PATTERNS;
  const lanes = new Int32Array(4 * lane);
  const whole = patterns.length - (patterns.length % 4);
  for (let i = 0; i < whole; i += 4) {
    addBoth(lanes, 0, patterns[i] as number, component[i] as number);
    addBoth(lanes, lane, patterns[i + 1] as number, component[i + 1] as number);
    addBoth(lanes, 2 * lane, patterns[i + 2] as number, component[i + 2] as number);
    addBoth(lanes, 3 * lane, patterns[i + 3] as number, component[i + 3] as number);
  }
  for (let i = whole; i < patterns.length; i++) {
    addBoth(lanes, 0, patterns[i] as number, component[i] as number);
  }
  const sums = lanes.slice(0, lane);
  for (let i = lane; i < lanes.length; i++) {
    addAt(sums, i % lane, lanes[i] as number);
  }
  return sums;
}

function addBoth(sums: Int32Array, from: number, pattern: number, value: number): void {
  addAt(sums, from + (pattern & (PATTERNS - 1)), value);
  addAt(sums, from + PATTERNS + (pattern >> (2 * GROUP)), value);
}

function addAt(sums: Int32Array, index: number, value: number): void {
  sums[index] = ((sums[index] as number) + value) | 0;
}

/** Σ value · sum over the patterns of a group, the value being that of its vector k. */
function signedSum(sums: Int32Array, group: number, k: number): number {
  let total = 0;
  for (let pattern = 0; pattern < PATTERNS; pattern++) {
    const value = ((pattern >> (2 * k)) & 3) - 1;
    total = (total + Math.imul(value, sums[group * PATTERNS + pattern] as number)) | 0;
  }
  return total;
}
