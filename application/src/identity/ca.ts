// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { X509Identity } from 'fabric-network';
import type { Role } from '@sev/chaincode/api';
import { z } from 'zod';
import type { OrganisationProfile } from '../config/profile.js';
import { EXIT, SevError, hasCode, messageOf, systemCode, type ExitCode } from '../errors.js';
import type { StoredIdentity } from './stored-identity.js';

/**
 * Requests to a CA at a time. Fabric's CA works through them one after the other, about a fifth of a second each: with
 * many more waiting, the client gives up on those at the end.
 */
export const CA_REQUESTS = 4;
/** How long to try again while a CA cannot be reached. */
const RECONNECT_MS = 30_000;
/** No bound on enrollments: a lost answer can be asked for again, and the secret lives no longer than the enrollment. */
const UNLIMITED = -1;

/** What the CA answers to a revocation; no list where there was nothing left to revoke. */
const revocationAnswer = z.object({ result: z.object({ RevokedCerts: z.array(z.unknown()).nullish() }) });
const identitiesAnswer = z.object({ result: z.object({ identities: z.array(z.object({ id: z.string() })) }) });
const base64Text = z.string().min(1);

/** Codes in a CA's answers (fabric-ca `lib/caerrors`). */
const REVOKE_IDENTITY_NOT_FOUND = 10;
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
   * Has a request for a server's certificate signed by the organisation's TLS CA, which knows the same identities.
   *
   * @param csr PEM, with the hosts that the certificate is to hold for.
   * @returns the certificate, PEM; it is no identity on the channel.
   * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED.
   */
  enrolTls(enrollmentId: string, enrollmentSecret: string, csr: string): Promise<string>;
  /**
   * Registers an identity with its role as an attribute of its certificates. One that is registered already, perhaps
   * by an attempt that broke off, gets a new secret.
   *
   * @returns the enrollment secret.
   * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED.
   */
  register(enrollmentId: string, role: Role, registrar: StoredIdentity): Promise<string>;
  /**
   * Has a holder's request for another key signed by the word of its present certificate, which must be in date.
   *
   * @param csr PEM, for the same enrollment id.
   * @returns the certificate, PEM; the present one holds as well until it ends or is revoked.
   * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED.
   */
  reenrol(holder: StoredIdentity, csr: string): Promise<string>;
  /**
   * Revokes an identity with all its certificates; it cannot enrol again. Doing it again changes nothing.
   *
   * @returns how many certificates were revoked now.
   * @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_IDENTITY_UNKNOWN, CA_FAILED.
   */
  revoke(enrollmentId: string, reason: RevocationReason, registrar: StoredIdentity): Promise<number>;
  /** Enrollment ids of all identities that the registrar may act on. @throws SevError CA_UNREACHABLE, CA_REFUSED, CA_FAILED. */
  identities(registrar: StoredIdentity): Promise<string[]>;
  /** The list of all certificates that the CA has revoked, PEM. @throws as `revoke`. */
  revocationList(registrar: StoredIdentity): Promise<string>;
}

/** Reasons of RFC 5280, section 5.3.1, by the names that the CA takes. */
export type RevocationReason =
  'unspecified' | 'keycompromise' | 'affiliationchanged' | 'superseded' | 'cessationofoperation' | 'privilegewithdrawn';

export async function openCertificateAuthority(organisation: OrganisationProfile): Promise<CertificateAuthority> {
  const sdk = await import('./fabric-sdk.js');
  const provider = await sdk.newX509Provider();
  const client = sdk.newCaClient({ ...organisation.ca, cryptoSuite: provider.getCryptoSuite() });
  const call = <T>(request: () => Promise<T>) => calling(organisation, request);
  const userOf = ({ label, mspId, certificate, privateKey }: StoredIdentity) => {
    const identity: X509Identity = { type: 'X.509', mspId, credentials: { certificate, privateKey } };
    return provider.getUserContext(identity, label);
  };
  return {
    reenrol: async (holder, csr) => {
      const user = await userOf(holder);
      return call(() => sdk.reenrol(client, csr, user));
    },
    revoke: async (enrollmentID, reason, registrar) => {
      const user = await userOf(registrar);
      const answer: unknown = await call(() => client.revoke({ enrollmentID, reason }, user));
      return revocationAnswer.parse(answer).result.RevokedCerts?.length ?? 0;
    },
    identities: async (registrar) => {
      const user = await userOf(registrar);
      const answer: unknown = await call(() => client.newIdentityService().getAll(user));
      return identitiesAnswer.parse(answer).result.identities.map(({ id }) => id);
    },
    revocationList: async (registrar) => {
      const user = await userOf(registrar);
      const list: unknown = await call(() => client.generateCRL({}, user));
      return Buffer.from(base64Text.parse(list), 'base64').toString('utf8');
    },
    enrolTls: async (enrollmentID, enrollmentSecret, csr) => {
      const { caName, tlsCaName = caName } = organisation.ca;
      const cryptoSuite = provider.getCryptoSuite();
      const tlsClient = sdk.newCaClient({ ...organisation.ca, caName: tlsCaName, cryptoSuite });
      const request = { enrollmentID, enrollmentSecret, csr, profile: 'tls' };
      const { certificate } = await call(() => tlsClient.enroll(request));
      return certificate;
    },
    enrol: async (enrollmentID, enrollmentSecret, csr) => {
      const { certificate } = await call(() => client.enroll({ enrollmentID, enrollmentSecret, csr }));
      return certificate;
    },
    register: async (enrollmentID, role, registrar) => {
      const user = await userOf(registrar);
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
  if (codes.includes(REVOKE_IDENTITY_NOT_FOUND)) {
    return make('CA_IDENTITY_UNKNOWN', 'Is this the CA that the identity was enrolled at?', EXIT.refused);
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
