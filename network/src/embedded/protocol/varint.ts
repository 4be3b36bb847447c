// SPDX-License-Identifier: Apache-2.0

/** Protocol Buffers base-128 varint of a non-negative safe integer. */
export function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** Reads a varint; `undefined` where the buffer ends inside it, or where it would exceed a safe integer. */
export function decodeVarint(buffer: Uint8Array, offset: number): { value: number; length: number } | undefined {
  let value = 0;
  let factor = 1;
  for (let index = 0; index < 8; index += 1) {
    const byte = buffer[offset + index];
    if (byte === undefined) {
      return undefined;
    }
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      return Number.isSafeInteger(value) ? { value, length: index + 1 } : undefined;
    }
    factor *= 0x80;
  }
  return undefined;
}

/**
 * Fabric's order-preserving encoding of an unsigned integer (common/ledger/util, `EncodeOrderPreservingVarUint64`):
 * the number of significant bytes, then these bytes big-endian.
 */
export function encodeOrderPreserving(value: number): Buffer {
  const big = Buffer.alloc(8);
  big.writeBigUInt64BE(BigInt(value));
  let start = 0;
  while (start < 8 && big[start] === 0) {
    start += 1;
  }
  return Buffer.concat([encodeVarint(8 - start), big.subarray(start)]);
}
