// SPDX-License-Identifier: Apache-2.0
import { authorityKeyIdentifier, normaliseSerial, subjectKeyIdentifier, x509 } from './x509.js';

/**
 * The serial numbers that revocation lists (PEM) revoke for certificates of one CA.
 *
 * As in Fabric's MSP, a list counts only if its authority key identifier is the CA's subject key identifier and the
 * CA signed it; dates of revocation and of the next update are not looked at.
 *
 * @throws Error when a list is no list, comes from another CA or is not signed by this one: an operator who hands over
 * such a list would believe somebody revoked who is not.
 */
export async function revokedSerials(caCertificatePem: string, crls: readonly string[]): Promise<ReadonlySet<string>> {
  const ca = new x509.X509Certificate(caCertificatePem);
  const revoked = new Set<string>();
  for (const pem of crls) {
    const crl = new x509.X509Crl(x509.PemConverter.decodeFirst(pem));
    if (authorityKeyIdentifier(crl) === undefined || authorityKeyIdentifier(crl) !== subjectKeyIdentifier(ca)) {
      throw new Error(`The revocation list of "${crl.issuer}" does not belong to the CA "${ca.subject}"`);
    }
    if (!(await crl.verify({ publicKey: ca }))) {
      throw new Error(`The revocation list of "${crl.issuer}" is not signed by the CA it names`);
    }
    for (const entry of crl.entries) {
      revoked.add(normaliseSerial(entry.serialNumber));
    }
  }
  return revoked;
}
