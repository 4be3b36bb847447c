// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { X509Identity } from 'fabric-network';
import type { Role } from '@sev/chaincode/api';
import type { OrganisationProfile } from '../config/profile.js';
import { EXIT, SevError, hasCode, messageOf, systemCode, type ExitCode } from '../errors.js';
import type { StoredIdentity } from './stored-identity.js';

/** How long to try again while a CA cannot be reached. */
const RECONNECT_MS = 30_000;
/** No bound on enrollments: a lost answer can be asked for again, and the secret lives no longer than the enrollment. */
const UNLIMITED = -1;

/** Codes in a CA's answers (fabric-ca `lib/caerrors`). */
const AUTHENTICATION_FAILURE = 20;
const AUTHORIZATION_FAILURE = 71;
const TOO_MANY_ATTEMPTS = 73;
const ALREADY_REGISTERED = 74;
const REFUSALS: readonly number[] = [AUTHENTICATION_FAILURE, AUTHORIZATION_FAILURE, TOO_MANY_ATTEMPTS];

/** The certificate authority of one organisation, spoken to with fabric-ca-client. */
export interface CertificateAuthority {
  /**
   * Has a certificate request signed.
   *
   * @param csr PEM; the private key stays with whoever made it.
   * @returns the certificate, PEM.
   * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED.
   */
  enrol(enrollmentId: string, enrollmentSecret: string, csr: string): Promise<string>;
  /**
   * Registers an identity with its role as an attribute of its certificates. One that is registered already, perhaps
   * by an attempt that broke off, gets a new secret.
   *
   * @returns the enrollment secret.
   * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED.
   */
  register(enrollmentId: string, role: Role, registrar: StoredIdentity): Promise<string>;
}

export async function openCertificateAuthority(organisation: OrganisationProfile): Promise<CertificateAuthority> {
  const sdk = await import('./fabric-sdk.js');
  const provider = await sdk.newX509Provider();
  const client = sdk.newCaClient({ ...organisation.ca, cryptoSuite: provider.getCryptoSuite() });
  const call = <T>(request: () => Promise<T>) => calling(organisation, request);
  return {
    enrol: async (enrollmentID, enrollmentSecret, csr) => {
      const { certificate } = await call(() => client.enroll({ enrollmentID, enrollmentSecret, csr }));
      return certificate;
    },
    register: async (enrollmentID, role, registrar) => {
      const { label, mspId, certificate, privateKey } = registrar;
      const identity: X509Identity = { type: 'X.509', mspId, credentials: { certificate, privateKey } };
      const user = await provider.getUserContext(identity, label);
      const request = {
        enrollmentID,
        affiliation: '',
        maxEnrollments: UNLIMITED,
        attrs: [{ name: 'role', value: role, ecert: true }],
      };
      try {
        return await call(() => client.register({ ...request, role: 'client' }, user));
      } catch (error) {
        if (!hasCode(error, 'CA_ALREADY_REGISTERED')) {
          throw error;
        }
      }
      const enrollmentSecret = randomBytes(24).toString('base64url');
      const update = { ...request, type: 'client', enrollmentSecret };
      await call(() => client.newIdentityService().update(enrollmentID, update, user));
      return enrollmentSecret;
    },
  };
}

/** Calls the CA, and again while it cannot be reached. */
async function calling<T>(organisation: OrganisationProfile, request: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + RECONNECT_MS;
  for (let pauseMs = 100; ; pauseMs = Math.min(2 * pauseMs, 2_000)) {
    try {
      return await request();
    } catch (error) {
      const failure = caError(organisation, error);
      if (failure.code !== 'CA_UNREACHABLE' || Date.now() + pauseMs >= giveUpAt) {
        throw failure;
      }
      await delay(pauseMs);
    }
  }
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOTFOUND']);

/** Reads what fabric-ca-client throws: a system error's code, or the CA's own errors. */
export function caError(organisation: Pick<OrganisationProfile, 'name'>, error: unknown): SevError {
  const text = messageOf(error);
  const make = (code: string, hint: string, exitCode: ExitCode) =>
    new SevError(code, `CA of ${organisation.name}: ${text}`, { hint, exitCode, cause: error });
  if (UNREACHABLE.has(systemCode(error) ?? '') || /timeout|socket hang up/i.test(text)) {
    return make('CA_UNREACHABLE', 'Is the network running? `sev network status` tells.', EXIT.unreachable);
  }
  const codes = answerCodes(error);
  if (codes.includes(ALREADY_REGISTERED) || /already registered/i.test(text)) {
    return make('CA_ALREADY_REGISTERED', 'Enrol it with the secret it was registered with.', EXIT.refused);
  }
  if (codes.some((code) => REFUSALS.includes(code))) {
    return make('CA_REFUSED', 'Check the enrollment id and secret, and that the registrar may register.', EXIT.refused);
  }
  return make('CA_FAILED', "The CA's log says more.", EXIT.failure);
}

function answerCodes(error: unknown): number[] {
  const errors = error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : [];
  return errors.flatMap((item: unknown) =>
    typeof item === 'object' && item !== null && 'code' in item && typeof item.code === 'number' ? [item.code] : [],
  );
}
