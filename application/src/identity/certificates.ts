// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { publicKeyText, type PublicKeyText } from '@sev/chaincode/api';
import { EXIT, SevError, messageOf } from '../errors.js';

/** @throws SevError CERTIFICATE_INVALID. */
export function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new SevError('CERTIFICATE_INVALID', `Not an X.509 certificate: ${messageOf(error)}`, {
      exitCode: EXIT.integrity,
    });
  }
}

/** End of validity in milliseconds since 1970. */
export function notAfterMs(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

export function certifiedKey(certificate: X509Certificate): PublicKeyText {
  return publicKeyText(certificate.publicKey);
}

/** True where the CA signed the certificate and it is in date. */
export function isIssuedBy(certificate: X509Certificate, caCertificate: string, nowMs = Date.now()): boolean {
  const ca = parseCertificate(caCertificate);
  const inDate = Date.parse(certificate.validFrom) <= nowMs && nowMs < notAfterMs(certificate);
  return inDate && certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
}
