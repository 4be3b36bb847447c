// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { der, derBitString, derInteger, derSequence } from './der.js';

/** 2.5.4.3, id-at-commonName (RFC 5280 appendix A). */
const COMMON_NAME = Buffer.from('0603550403', 'hex');
/** 1.2.840.10045.4.3.2, ecdsa-with-SHA256 (RFC 5758 section 3.2). */
const ECDSA_WITH_SHA256 = derSequence(Buffer.from('06082a8648ce3d040302', 'hex'));
const VERSION_1 = derInteger(Buffer.from([0]));
/** 1.2.840.113549.1.9.14, extensionRequest (RFC 2985 section 5.4.2). */
const EXTENSION_REQUEST = Buffer.from('06092a864886f70d01090e', 'hex');
/** 2.5.29.17, id-ce-subjectAltName (RFC 5280 section 4.2.1.6). */
const SUBJECT_ALT_NAME = Buffer.from('0603551d11', 'hex');

/**
 * A certificate request (PKCS #10, RFC 2986) for a P-256 key: subject `CN=<commonName>`.
 * Whoever sends it shows that it holds the private key, which stays where it is.
 *
 * @param hosts names and IPv4 addresses that the certificate is to hold for; none for an identity.
 * @returns PEM.
 */
export function certificateRequest(commonName: string, privateKey: KeyObject, hosts: readonly string[] = []): string {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const name = derSequence(der(0x31, derSequence(COMMON_NAME, der(0x0c, Buffer.from(commonName, 'utf8')))));
  const info = derSequence(VERSION_1, name, publicKey, attributesFor(hosts));
  const signature = sign('sha256', info, privateKey);
  return pem('CERTIFICATE REQUEST', derSequence(info, ECDSA_WITH_SHA256, derBitString(signature)));
}

function attributesFor(hosts: readonly string[]): Buffer {
  if (hosts.length === 0) {
    return der(0xa0);
  }
  const names = derSequence(...hosts.map(generalName));
  const extensions = derSequence(derSequence(SUBJECT_ALT_NAME, der(0x04, names)));
  return der(0xa0, derSequence(EXTENSION_REQUEST, der(0x31, extensions)));
}

/** dNSName [2] or, of four octets, iPAddress [7]. */
function generalName(host: string): Buffer {
  return isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host, 'ascii'));
}

/** RFC 7468. */
function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
