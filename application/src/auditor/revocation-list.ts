// SPDX-License-Identifier: Apache-2.0
import { verify, type X509Certificate } from 'node:crypto';

/** A certificate revocation list (RFC 5280, section 5), as far as a verifier of identities needs it. */
export interface RevocationList {
  /** True where the list carries a valid signature of this certificate's key. */
  isSignedBy(issuer: X509Certificate): boolean;
  /** Serial numbers of revoked certificates; reasons and dates make no difference to Fabric. */
  readonly serials: ReadonlySet<bigint>;
}

interface Element {
  readonly tag: number;
  /** The whole element, as signatures cover it. */
  readonly bytes: Buffer;
  readonly content: Buffer;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
/** UTCTime and GeneralizedTime. */
const TIMES: ReadonlySet<number> = new Set([0x17, 0x18]);

/**
 * @param encoded DER, or PEM as the channel's configuration usually holds it.
 * @throws Error where it is neither.
 */
export function readRevocationList(encoded: Uint8Array): RevocationList {
  const [list] = elements(derOf(encoded));
  const [body, , signature] = list?.tag === SEQUENCE ? elements(list.content) : [];
  if (body?.tag !== SEQUENCE || signature?.tag !== BIT_STRING) {
    throw new Error('a revocation list cannot be read');
  }
  // The first byte of a BIT STRING counts unused bits: none in a signature.
  const signatureBytes = signature.content.subarray(1);
  return {
    isSignedBy: (issuer) => verify('sha256', body.bytes, issuer.publicKey, signatureBytes),
    serials: new Set(revokedSerials(elements(body.content))),
  };
}

function derOf(encoded: Uint8Array): Buffer {
  const pem = /-----BEGIN X509 CRL-----([^-]+)-----END X509 CRL-----/.exec(Buffer.from(encoded).toString('latin1'));
  return pem === null ? Buffer.from(encoded) : Buffer.from(pem[1] ?? '', 'base64');
}

/** The list of revoked certificates is the sequence after the times; it is absent where none is revoked. */
function revokedSerials(fields: readonly Element[]): bigint[] {
  const times = fields.map(({ tag }) => TIMES.has(tag)).lastIndexOf(true);
  const revoked = fields[times + 1];
  if (times < 0 || revoked?.tag !== SEQUENCE) {
    return [];
  }
  return elements(revoked.content).map(({ content }) => {
    const [serial] = elements(content);
    if (serial?.tag !== INTEGER) {
      throw new Error('a revocation list names a certificate without a serial number');
    }
    return BigInt(`0x${serial.content.toString('hex')}`);
  });
}

/** Splits DER (ITU-T X.690, 8.1) into elements. @throws Error where a length exceeds the bytes. */
function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1] ?? 0;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + lengthBytes;
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
    if (start + length > bytes.length) {
      throw new Error('a revocation list is cut off');
    }
    found.push({ tag, bytes: bytes.subarray(at, start + length), content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
