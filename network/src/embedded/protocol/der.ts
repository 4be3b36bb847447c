// SPDX-License-Identifier: Apache-2.0

/** Tag, length and content of a DER element (X.690, section 8.1). */
export function derElement(tag: number, content: Uint8Array): Buffer {
  const length = content.length;
  if (length < 0x80) {
    return Buffer.concat([Buffer.from([tag, length]), content]);
  }
  const lengthBytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) {
    lengthBytes.unshift(rest % 256);
  }
  return Buffer.concat([Buffer.from([tag, 0x80 | lengthBytes.length, ...lengthBytes]), content]);
}

/** DER INTEGER of a non-negative number, given big-endian: shortest form, a zero byte where the sign bit would be set. */
export function derUnsignedInteger(bigEndian: Uint8Array): Buffer {
  let start = 0;
  while (start < bigEndian.length - 1 && bigEndian[start] === 0) {
    start += 1;
  }
  const digits = bigEndian.subarray(start);
  const content = digits.length === 0 || (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits;
  return derElement(0x02, content);
}

/** DER OCTET STRING. */
export function derOctetString(content: Uint8Array): Buffer {
  return derElement(0x04, content);
}

/** DER SEQUENCE of already encoded elements. */
export function derSequence(...elements: Uint8Array[]): Buffer {
  return derElement(0x30, Buffer.concat(elements));
}
