// SPDX-License-Identifier: Apache-2.0
import type { Role } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import type { OrganisationProfile, RegistrarCredentials } from '../config/profile.js';
import { openCertificateAuthority, type CertificateAuthority, type RevocationReason } from './ca.js';
import { certifiedKey, isIssuedBy, parseCertificate } from './certificates.js';
import { certificateRequest } from './csr.js';
import { newPrivateKey, privateKeyPem } from './keys.js';
import type { StoredIdentity } from './stored-identity.js';
import { openWallet, type IdentityWallet } from './wallet.js';

/** Label of the CA's registrar in its organisation's wallet. */
export const CA_REGISTRAR = 'admin';

/** Gives identities to people, programs and vehicles of one organisation, from the organisation's home. */
export interface Registrar {
  readonly organisation: OrganisationProfile;
  readonly wallet: IdentityWallet;
  /**
   * Registers and enrols an identity with a new key, into the wallet; one that is there and still good is kept.
   *
   * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED.
   */
  registerAndEnrol(enrollmentId: string, role: Role): Promise<StoredIdentity>;
  /**
   * Registers an identity and has its own certificate request signed; the private key stays with its holder.
   *
   * @returns the certificate, PEM.
   */
  enrolWithCsr(enrollmentId: string, role: Role, csr: string): Promise<string>;
  /**
   * Has a request for a server's certificate signed by the TLS CA, for an identity of the organisation with this role.
   *
   * @param csr PEM, with the hosts that the certificate is to hold for.
   * @returns the certificate, PEM.
   */
  enrolTls(enrollmentId: string, role: Role, csr: string): Promise<string>;
  /** Revokes an identity at the CA, with all its certificates. @returns how many were revoked now. */
  revoke(enrollmentId: string, reason: RevocationReason): Promise<number>;
  /** Enrollment ids of all identities at the CA that it may act on. */
  identities(): Promise<string[]>;
  /** The CA's list of revoked certificates, PEM. */
  revocationList(): Promise<string>;
}

/**
 * Opens the registrar of an organisation, enrolling it first where the wallet does not hold it yet.
 *
 * @param credentials of the CA's bootstrap registrar; asked for only when they are needed.
 */
export async function openRegistrar(
  organisation: OrganisationProfile,
  home: string,
  credentials: () => Promise<RegistrarCredentials>,
): Promise<Registrar> {
  const wallet = await openWallet(inHome.wallet(home));
  let opened: Promise<CertificateAuthority> | undefined;
  const authority = () => (opened ??= openCertificateAuthority(organisation));

  const enrolNew = async (label: string, enrollmentId: string, enrollmentSecret: string) => {
    const key = newPrivateKey();
    const csr = certificateRequest(enrollmentId, key);
    const certificate = await (await authority()).enrol(enrollmentId, enrollmentSecret, csr);
    const identity = { label, mspId: organisation.mspId, certificate, privateKey: privateKeyPem(key) };
    await wallet.put(identity);
    return identity;
  };
  const registrar = async () => {
    const kept = await goodIdentity(wallet, CA_REGISTRAR, organisation);
    if (kept !== undefined) {
      return kept;
    }
    const { enrollmentId, enrollmentSecret } = await credentials();
    return enrolNew(CA_REGISTRAR, enrollmentId, enrollmentSecret);
  };
  let admin: Promise<StoredIdentity> | undefined;
  const opening = () => (admin ??= registrar());
  const register = async (enrollmentId: string, role: Role) =>
    (await authority()).register(enrollmentId, role, await opening());

  return {
    organisation,
    wallet,
    registerAndEnrol: async (enrollmentId, role) => {
      const kept = await goodIdentity(wallet, enrollmentId, organisation);
      return kept ?? (await enrolNew(enrollmentId, enrollmentId, await register(enrollmentId, role)));
    },
    enrolWithCsr: async (enrollmentId, role, csr) => {
      const enrollmentSecret = await register(enrollmentId, role);
      return (await authority()).enrol(enrollmentId, enrollmentSecret, csr);
    },
    enrolTls: async (enrollmentId, role, csr) => {
      const enrollmentSecret = await register(enrollmentId, role);
      return (await authority()).enrolTls(enrollmentId, enrollmentSecret, csr);
    },
    revoke: async (enrollmentId, reason) => (await authority()).revoke(enrollmentId, reason, await opening()),
    identities: async () => (await authority()).identities(await opening()),
    revocationList: async () => (await authority()).revocationList(await opening()),
  };
}

/** An identity of the wallet that the organisation's present CA issued and that is in date. */
async function goodIdentity(
  wallet: IdentityWallet,
  label: string,
  organisation: OrganisationProfile,
): Promise<StoredIdentity | undefined> {
  const identity = await wallet.find(label);
  const good =
    identity !== undefined && isIssuedBy(parseCertificate(identity.certificate), organisation.identityCaCert);
  return good ? identity : undefined;
}

/** True where the certificate is for this key. */
export function certifies(certificate: string, publicKey: string): boolean {
  return certifiedKey(parseCertificate(certificate)) === publicKey;
}
