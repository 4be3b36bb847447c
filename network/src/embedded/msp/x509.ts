// SPDX-License-Identifier: Apache-2.0
// The certificate library resolves its parts through decorators and wants the metadata polyfill before it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { webcrypto } from 'node:crypto';

x509.cryptoProvider.set(webcrypto);

export { x509 };

/** Object identifier of Fabric's certificate attributes: a JSON document `{"attrs":{name:value}}`. */
export const ATTRIBUTES_OID = '1.2.3.4.5.6.7.8.1';

/** Serial numbers in one form, so that they can be compared: lower-case hex without leading zeros. */
export function normaliseSerial(serial: string): string {
  return serial.toLowerCase().replaceAll(':', '').replace(/^0+/, '');
}

/** Subject key identifier in lower-case hex. */
export function subjectKeyIdentifier(certificate: x509.X509Certificate): string | undefined {
  return certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId.toLowerCase();
}

/** Authority key identifier in lower-case hex, of a certificate or of a revocation list. */
export function authorityKeyIdentifier(signed: x509.X509Certificate | x509.X509Crl): string | undefined {
  return signed.getExtension<x509.AuthorityKeyIdentifierExtension>('2.5.29.35')?.keyId?.toLowerCase();
}
