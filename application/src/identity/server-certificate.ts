// SPDX-License-Identifier: Apache-2.0
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import type { Role } from '@sev/chaincode/api';
import type { OrganisationProfile, RegistrarCredentials } from '../config/profile.js';
import { PRIVATE_FILE, makePrivateDirectory, readIfThere, writeFileAtomic } from '../store/files.js';
import { isIssuedBy } from './certificates.js';
import { certificateRequest } from './csr.js';
import { newPrivateKey, privateKeyPem } from './keys.js';
import { openRegistrar } from './registrar.js';

/** A server's key and certificate, PEM. */
export interface ServerCertificate {
  readonly key: string;
  readonly certificate: string;
}

export interface ServerCertificateOptions {
  readonly organisation: OrganisationProfile;
  /** Home of the organisation, whose registrar asks the TLS CA. */
  readonly home: string;
  /** Folder of the key and the certificate. */
  readonly directory: string;
  /** Role of the identity, which is enrolled under the role's name. */
  readonly role: Role;
  /** Names and addresses that the server is reached by. */
  readonly hosts: readonly string[];
  /** Credentials of the CA's bootstrap registrar; asked for only where the home lacks its identity. */
  readonly credentials: () => Promise<RegistrarCredentials>;
}

/** Less than this part of its life left, and a certificate is replaced at the next start. */
const RENEW_BELOW = 0.3;

/**
 * The certificate that a service of an organisation serves TLS with, from the organisation's TLS CA: the one that is kept
 * where it is still good, else a new one with a new key.
 *
 * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED, REGISTRAR_MISSING.
 */
export async function ensureServerCertificate(options: ServerCertificateOptions): Promise<ServerCertificate> {
  const { organisation, home, directory, role, hosts, credentials } = options;
  await makePrivateDirectory(directory);
  const keyFile = join(directory, 'tls-key.pem');
  const certificateFile = join(directory, 'tls-certificate.pem');
  const [keptKey, kept] = await Promise.all([readIfThere(keyFile), readIfThere(certificateFile)]);
  if (keptKey !== undefined && kept !== undefined && isGood(keptKey, kept, organisation.gateway.tlsCaCert, hosts)) {
    return { key: keptKey.toString('utf8'), certificate: kept.toString('utf8') };
  }
  const key = newPrivateKey();
  const registrar = await openRegistrar(organisation, home, credentials);
  const certificate = await registrar.enrolTls(role, role, certificateRequest(role, key, hosts));
  // Where this is cut short, the key does not fit the certificate, and both are made anew.
  await writeFileAtomic(keyFile, privateKeyPem(key), { mode: PRIVATE_FILE });
  await writeFileAtomic(certificateFile, certificate);
  return { key: privateKeyPem(key), certificate };
}

function isGood(key: Buffer, pem: Buffer, tlsCaCert: string, hosts: readonly string[], nowMs = Date.now()): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
    const names = certificate.subjectAltName ?? '';
    return (
      isIssuedBy(certificate, tlsCaCert, nowMs) &&
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      hosts.every((host) => names.includes(host)) &&
      toMs - nowMs > RENEW_BELOW * (toMs - fromMs)
    );
  } catch {
    return false;
  }
}
