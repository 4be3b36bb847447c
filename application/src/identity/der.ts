// SPDX-License-Identifier: Apache-2.0

/** The few forms of DER (ITU-T X.690) that signatures, certificate requests and certificates' extensions need. */

/** Tag, length, contents. */
export function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), derLength(body.length), body]);
}

function derLength(length: number): Buffer {
  if (length < 0x80) {
    return Buffer.from([length]);
  }
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

export function derSequence(...contents: Uint8Array[]): Buffer {
  return der(0x30, ...contents);
}

/** An INTEGER from an unsigned big-endian number: shortest form, not negative. */
export function derInteger(unsigned: Uint8Array): Buffer {
  const first = unsigned.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Buffer.from([0]) : unsigned.subarray(first);
  const negative = ((digits[0] ?? 0) & 0x80) !== 0;
  return der(0x02, negative ? Buffer.from([0]) : Buffer.alloc(0), digits);
}

/** A BIT STRING of whole bytes. */
export function derBitString(bytes: Uint8Array): Buffer {
  return der(0x03, Buffer.from([0]), bytes);
}

/** One encoded value. */
export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
}

/**
 * The values that a constructed one consists of.
 *
 * @throws RangeError where the bytes are not whole values with lengths below 2^32.
 */
export function derValues(bytes: Uint8Array): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1] ?? 0x80;
    const more = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + more;
    const length = more === 0 ? first : Number.parseInt(Buffer.from(bytes.subarray(at + 2, start)).toString('hex'), 16);
    if (first === 0x80 || more > 4 || !(start + length <= bytes.length)) {
      throw new RangeError('not DER');
    }
    values.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return values;
}
