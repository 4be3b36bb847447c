// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import type { ClientIdentity } from 'fabric-shim-api';
import { ContractError, publicKeyText, role, type Role } from './api';
import type { CertifiedKey } from './domain/key-change';

/** Who submitted the transaction, as the organisation's CA certified it. */
export interface Caller {
  readonly mspId: string;
  readonly role: Role;
  readonly enrollmentId: string;
}

/**
 * Reads the caller from its certificate: organisational unit `client`, attribute `role`, enrollment id (attribute
 * `hf.EnrollmentID`, else the common name; the CA sets both).
 *
 * @throws ContractError ACCESS_DENIED without OU=client, CALLER_UNKNOWN without a known role.
 */
export function callerOf(identity: ClientIdentity): Caller {
  const subject = parseSubject(new X509Certificate(identity.getIDBytes()).subject);
  if (!subject.some(([type, value]) => type === 'OU' && value === 'client')) {
    throw new ContractError('ACCESS_DENIED', 'only identities with OU=client run transactions');
  }
  const parsed = role.safeParse(identity.getAttributeValue('role'));
  if (!parsed.success) {
    throw new ContractError('CALLER_UNKNOWN', "the certificate's attribute `role` names no known role");
  }
  const commonName = subject.find(([type]) => type === 'CN')?.[1] ?? '';
  const enrollmentId = identity.getAttributeValue('hf.EnrollmentID') ?? commonName;
  return { mspId: identity.getMSPID(), role: parsed.data, enrollmentId };
}

/** The key of the caller's certificate and its end; the peer has checked the certificate and the caller's signature. */
export function certifiedKeyOf(identity: ClientIdentity): CertifiedKey {
  const certificate = new X509Certificate(identity.getIDBytes());
  return { publicKey: publicKeyText(certificate.publicKey), notAfterMs: Date.parse(certificate.validTo) };
}

/** OpenSSL separates names by lines and the parts of a multi-valued name by ` + `, and escapes both inside values. */
function parseSubject(subject: string): [type: string, value: string][] {
  return subject.split(/\n| \+ /).map((part) => {
    const equals = part.indexOf('=');
    return [part.slice(0, equals), part.slice(equals + 1)];
  });
}
