// SPDX-License-Identifier: Apache-2.0
import { SecureError } from './errors.js';

/** Reads a share's bytes from front to back; what is too short or too long is SHARE_MALFORMED. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The next n bytes, a view. @throws SecureError SHARE_MALFORMED */
  take(n: number): Uint8Array {
    if (this.#bytes.length - this.#offset < n) {
      throw new SecureError(
        'SHARE_MALFORMED',
        `it ends ${String(n)} bytes after byte ${String(this.#offset)} at least`,
      );
    }
    this.#offset += n;
    return this.#bytes.subarray(this.#offset - n, this.#offset);
  }

  /** @throws SecureError SHARE_MALFORMED */
  byte(): number {
    return this.take(1)[0] ?? 0;
  }

  /** Big-endian. @throws SecureError SHARE_MALFORMED */
  uint32(): number {
    const bytes = this.take(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  }

  /** n bytes as lower-case hex. @throws SecureError SHARE_MALFORMED */
  hex(n: number): string {
    return Buffer.from(this.take(n)).toString('hex');
  }

  /** @throws SecureError SHARE_MALFORMED where another byte follows. */
  end(): void {
    if (this.#offset !== this.#bytes.length) {
      throw new SecureError('SHARE_MALFORMED', `${String(this.#bytes.length - this.#offset)} bytes too many`);
    }
  }
}
