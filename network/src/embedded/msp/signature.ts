// SPDX-License-Identifier: Apache-2.0

/** Order n of the curve P-256 (SEC 2, section 2.4.2). */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The greatest S that Fabric accepts: with (r, s) also (r, n − s) verifies, so it admits only the lower of the two. */
export const P256_HALF_ORDER = P256_ORDER >> 1n;

export interface EcdsaSignature {
  readonly r: bigint;
  readonly s: bigint;
}

function readInteger(der: Uint8Array, offset: number): { value: bigint; next: number } | undefined {
  const length = der[offset + 1];
  const first = der[offset + 2];
  if (der[offset] !== 0x02 || length === undefined || first === undefined || length === 0 || length > 33) {
    return undefined;
  }
  const next = offset + 2 + length;
  const negative = first >= 0x80;
  const padded = first === 0 && length > 1 && (der[offset + 3] ?? 0) < 0x80;
  if (next > der.length || negative || padded) {
    return undefined;
  }
  return { value: BigInt(`0x${Buffer.from(der.subarray(offset + 2, next)).toString('hex')}`), next };
}

/** Reads an ECDSA signature on P-256: DER of SEQUENCE { r, s } (RFC 3279, section 2.2.3), nothing before or after it. */
export function parseSignature(der: Uint8Array): EcdsaSignature | undefined {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 72) {
    return undefined;
  }
  const r = readInteger(der, 2);
  const s = r === undefined ? undefined : readInteger(der, r.next);
  return r === undefined || s?.next !== der.length ? undefined : { r: r.value, s: s.value };
}

function encodeInteger(value: bigint): Buffer {
  const hex = value.toString(16);
  const digits = hex.length % 2 === 0 ? hex : `0${hex}`;
  const bytes = Buffer.from(parseInt(digits.slice(0, 2), 16) >= 0x80 ? `00${digits}` : digits, 'hex');
  return Buffer.concat([Buffer.from([0x02, bytes.length]), bytes]);
}

/** DER of a signature on P-256. */
export function encodeSignature({ r, s }: EcdsaSignature): Buffer {
  const body = Buffer.concat([encodeInteger(r), encodeInteger(s)]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

/** The same signature with the lower S. */
export function toLowS(der: Uint8Array): Uint8Array {
  const signature = parseSignature(der);
  if (signature === undefined) {
    throw new TypeError('Not a DER-encoded ECDSA signature on P-256');
  }
  return signature.s <= P256_HALF_ORDER ? der : encodeSignature({ r: signature.r, s: P256_ORDER - signature.s });
}
