// SPDX-License-Identifier: Apache-2.0
import { createRequire } from 'node:module';
import type { BatchEncoder } from 'node-seal/implementation/batch-encoder.js';
import type { CipherText } from 'node-seal/implementation/cipher-text.js';
import type { ComprModeType } from 'node-seal/implementation/compr-mode-type.js';
import type { Context } from 'node-seal/implementation/context.js';
import type { PlainText } from 'node-seal/implementation/plain-text.js';
import type { PublicKey } from 'node-seal/implementation/public-key.js';
import type { SchemeType } from 'node-seal/implementation/scheme-type.js';
import type { SEALLibrary } from 'node-seal/implementation/seal.js';
import type { SecurityLevel } from 'node-seal/implementation/security-level.js';
import { HeError } from './errors.js';
import { HE_PARAMETERS, type HeParameters } from './parameters.js';
import type { Slots } from './slots.js';

/** Something in the memory of the WebAssembly module, which no garbage collector frees. */
interface Deletable {
  delete(): void;
}

/** Frees what was made in it, in reverse order, whatever happens. */
export function withScope<T>(work: (own: <D extends Deletable>(thing: D) => D) => T): T {
  const owned: Deletable[] = [];
  try {
    return work((thing) => {
      owned.push(thing);
      return thing;
    });
  } finally {
    owned.reverse().forEach((thing) => {
      thing.delete();
    });
  }
}

const WORD = 0x1_0000_0000;

/**
 * Microsoft SEAL 4.1 (node-seal) for one set of parameters. The only place that touches the library. Its randomness is
 * node:crypto's. Everything in WebAssembly memory is freed by {@link withScope} or by `close`.
 */
export class HeRuntime {
  readonly parameters: HeParameters;
  readonly seal: SEALLibrary;
  readonly context: Context;
  readonly #encoder: BatchEncoder;
  /** The primes of the coefficient modulus, the key's own last. */
  readonly #primes: readonly bigint[];
  /** What every serialised ciphertext and public key begins with; see {@link HeRuntime.loadCiphertext}. */
  readonly #ciphertextHead: Uint8Array;
  readonly #keyHead: Uint8Array;

  private constructor(seal: SEALLibrary, context: Context, encoder: BatchEncoder, parameters: HeParameters) {
    this.seal = seal;
    this.context = context;
    this.parameters = parameters;
    this.#encoder = encoder;
    this.#primes = primesOf(seal, parameters);
    const [ciphertextHead, keyHead] = this.#serialisedHeads();
    this.#ciphertextHead = ciphertextHead;
    this.#keyHead = keyHead;
  }

  /** @throws HeError PARAMETERS_INVALID */
  static async load(parameters: HeParameters = HE_PARAMETERS): Promise<HeRuntime> {
    checkParameters(parameters);
    const seal = await loadLibrary();
    try {
      const context = newContext(seal, parameters);
      // Refuses a modulus without batching: t must be prime and ≡ 1 mod 2N.
      return new HeRuntime(seal, context, seal.BatchEncoder(context), parameters);
    } catch (cause) {
      throw new HeError('PARAMETERS_INVALID', 'the library refuses them: 128 bits of security, batching?', { cause });
    }
  }

  /** Frees all that the runtime owns; the parties made with it are closed first. */
  close(): void {
    this.#encoder.delete();
    this.context.delete();
  }

  /** Writes slots into a plaintext, through the two 32-bit halves of each number. */
  encode(slots: Slots, plaintext: PlainText): void {
    const words = new Uint32Array(2 * slots.length);
    slots.forEach((value, index) => {
      words[2 * index] = value;
      words[2 * index + 1] = value / WORD;
    });
    this.#encoder.encode(new BigUint64Array(words.buffer), plaintext);
  }

  decode(plaintext: PlainText): Slots {
    const { buffer, byteOffset, length } = this.#encoder.decodeBigInt(plaintext, false);
    const words = new Uint32Array(buffer, byteOffset, 2 * length);
    return Float64Array.from({ length }, (_, index) => halves(words, index));
  }

  /** Bytes of a ciphertext: a head of 113 bytes that is always the same, and 2·N coefficients of 64 bits. */
  saveCiphertext(ciphertext: CipherText): Uint8Array {
    return ciphertext.saveArray(this.seal.ComprModeType.none as ComprModeType);
  }

  /**
   * Reads a ciphertext that may come from anywhere. SEAL trusts the sizes in the head and ends the WebAssembly module where
   * they lie, and loses the bytes of whatever it refuses; so all is checked before it sees them.
   *
   * @throws HeError CIPHERTEXT_MALFORMED
   */
  loadCiphertext(bytes: Uint8Array, ciphertext: CipherText): void {
    if (!hasForm(bytes, this.#ciphertextHead, this.#primes.slice(0, -1), this.parameters)) {
      throw new HeError('CIPHERTEXT_MALFORMED', `not the ${this.ciphertextBytes} bytes of a fresh ciphertext`);
    }
    ciphertext.loadArray(this.context, bytes);
    if (ciphertext.isTransparent) {
      throw new HeError('CIPHERTEXT_MALFORMED', 'it encrypts nothing: its second half is zero');
    }
  }

  savePublicKey(key: PublicKey): Uint8Array {
    return key.saveArray(this.seal.ComprModeType.none as ComprModeType);
  }

  /** @throws HeError KEY_MALFORMED */
  loadPublicKey(bytes: Uint8Array, key: PublicKey): void {
    if (!hasForm(bytes, this.#keyHead, this.#primes, this.parameters)) {
      throw new HeError('KEY_MALFORMED', `not the ${this.publicKeyBytes} bytes of a public key`);
    }
    key.loadArray(this.context, bytes);
  }

  /** Two polynomials modulo the product of all primes but the last. */
  get ciphertextBytes(): number {
    return this.#ciphertextHead.length + this.#polynomialBytes(this.parameters.coefficientBits.length - 1);
  }

  /** Two polynomials modulo the product of all primes. */
  get publicKeyBytes(): number {
    return this.#keyHead.length + this.#polynomialBytes(this.parameters.coefficientBits.length);
  }

  #polynomialBytes(primes: number): number {
    return 2 * this.parameters.polynomialDegree * primes * BigUint64Array.BYTES_PER_ELEMENT;
  }

  /** The heads are read off a key and a ciphertext that are thrown away. */
  #serialisedHeads(): readonly [Uint8Array, Uint8Array] {
    const { seal, context } = this;
    const primes = this.parameters.coefficientBits.length;
    return withScope((own) => {
      const key = own(own(seal.KeyGenerator(context)).createPublicKey());
      const ciphertext = own(seal.CipherText());
      own(seal.Encryptor(context, key)).encryptZero(ciphertext);
      const ciphertextBytes = this.saveCiphertext(ciphertext);
      const keyBytes = this.savePublicKey(key);
      return [
        ciphertextBytes.slice(0, ciphertextBytes.length - this.#polynomialBytes(primes - 1)),
        keyBytes.slice(0, keyBytes.length - this.#polynomialBytes(primes)),
      ];
    });
  }
}

/** Loaded when it is needed only: the module is 1.4 MB of WebAssembly. */
async function loadLibrary(): Promise<SEALLibrary> {
  const create = createRequire(import.meta.url)('node-seal') as () => Promise<SEALLibrary>;
  return create();
}

function checkParameters({ plainModulus, coefficientBits }: HeParameters): void {
  if (!Number.isInteger(plainModulus) || plainModulus <= WORD || plainModulus >= 2 ** 40) {
    throw new HeError('PARAMETERS_INVALID', 'the plaintext modulus must lie between 2^32 and 2^40');
  }
  if (coefficientBits.length < 2) {
    throw new HeError('PARAMETERS_INVALID', 'the coefficient modulus needs two primes or more');
  }
}

function primesOf(seal: SEALLibrary, { polynomialDegree, coefficientBits }: HeParameters): readonly bigint[] {
  return withScope((own) => {
    const parms = own(seal.EncryptionParameters(seal.SchemeType.bfv as SchemeType));
    parms.setPolyModulusDegree(polynomialDegree);
    parms.setCoeffModulus(own(seal.CoeffModulus.Create(polynomialDegree, Int32Array.from(coefficientBits))));
    return Array.from(parms.coeffModulus);
  });
}

/** The library itself refuses parameters below 128 bits of security. */
function newContext(seal: SEALLibrary, { polynomialDegree, coefficientBits, plainModulus }: HeParameters): Context {
  return withScope((own) => {
    const parms = own(seal.EncryptionParameters(seal.SchemeType.bfv as SchemeType));
    parms.setPolyModulusDegree(polynomialDegree);
    parms.setCoeffModulus(own(seal.CoeffModulus.Create(polynomialDegree, Int32Array.from(coefficientBits))));
    parms.setPlainModulus(own(seal.Modulus(BigInt(plainModulus))));
    return seal.Context(parms, false, seal.SecurityLevel.tc128 as SecurityLevel);
  });
}

/** Whether bytes are a head and two polynomials, each with N coefficients below each of the primes. */
function hasForm(
  bytes: Uint8Array,
  head: Uint8Array,
  primes: readonly bigint[],
  { polynomialDegree }: HeParameters,
): boolean {
  const coefficients = 2 * primes.length * polynomialDegree;
  if (bytes.length !== head.length + 8 * coefficients || head.some((byte, index) => bytes[index] !== byte)) {
    return false;
  }
  // A copy, aligned; `slice` would be a view where a Buffer comes.
  const words = new Uint32Array(new Uint8Array(bytes.subarray(head.length)).buffer);
  for (let start = 0; start < coefficients; start += polynomialDegree) {
    const prime = primes[(start / polynomialDegree) % primes.length] ?? 0n;
    if (!allBelow(words.subarray(2 * start, 2 * (start + polynomialDegree)), prime)) {
      return false;
    }
  }
  return true;
}

/** Whether all 64-bit numbers, low word first, are below a limit; in halves, because they exceed 53 bits. */
function allBelow(words: Uint32Array, limit: bigint): boolean {
  const limitHigh = Number(limit >> 32n);
  const limitLow = Number(limit & 0xffff_ffffn);
  for (let i = 0; i < words.length; i += 2) {
    const high = words[i + 1] ?? 0;
    if (high > limitHigh || (high === limitHigh && (words[i] ?? 0) >= limitLow)) {
      return false;
    }
  }
  return true;
}

function halves(words: Uint32Array, index: number): number {
  return (words[2 * index] ?? 0) + (words[2 * index + 1] ?? 0) * WORD;
}
