// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { der, derBitString, derInteger, derSequence } from './der.js';

/** 2.5.4.3, id-at-commonName (RFC 5280 appendix A). */
const COMMON_NAME = Buffer.from('0603550403', 'hex');
/** 1.2.840.10045.4.3.2, ecdsa-with-SHA256 (RFC 5758 section 3.2). */
const ECDSA_WITH_SHA256 = derSequence(Buffer.from('06082a8648ce3d040302', 'hex'));
const VERSION_1 = derInteger(Buffer.from([0]));
const NO_ATTRIBUTES = der(0xa0);

/**
 * A certificate request (PKCS #10, RFC 2986) for a P-256 key: subject `CN=<commonName>`, no attributes.
 * Whoever sends it shows that it holds the private key, which stays where it is.
 *
 * @returns PEM.
 */
export function certificateRequest(commonName: string, privateKey: KeyObject): string {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const name = derSequence(der(0x31, derSequence(COMMON_NAME, der(0x0c, Buffer.from(commonName, 'utf8')))));
  const info = derSequence(VERSION_1, name, publicKey, NO_ATTRIBUTES);
  const signature = sign('sha256', info, privateKey);
  return pem('CERTIFICATE REQUEST', derSequence(info, ECDSA_WITH_SHA256, derBitString(signature)));
}

/** RFC 7468. */
function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
