// SPDX-License-Identifier: Apache-2.0
import { normaliseSerial, x509 } from '../msp/x509.js';
import { isTrue, mayActOnType } from './attributes.js';
import type { Caller, CaContext } from './context.js';
import { authorizationFailure, CA_ERROR, CaError } from './errors.js';
import type { CertificateRecord, RegisteredIdentity } from './registry.js';
import type { CrlRequest, RevocationRequest } from './requests.js';

/** RFC 5280, section 5.3.1, by the names that Fabric CA takes. */
const REASONS: Readonly<Record<string, x509.X509CrlReason>> = {
  unspecified: x509.X509CrlReason.unspecified,
  keycompromise: x509.X509CrlReason.keyCompromise,
  cacompromise: x509.X509CrlReason.cACompromise,
  affiliationchanged: x509.X509CrlReason.affiliationChanged,
  superseded: x509.X509CrlReason.superseded,
  cessationofoperation: x509.X509CrlReason.cessationOfOperation,
  certificatehold: x509.X509CrlReason.certificateHold,
  removefromcrl: x509.X509CrlReason.removeFromCRL,
  privilegewithdrawn: x509.X509CrlReason.privilegeWithdrawn,
  aacompromise: x509.X509CrlReason.aACompromise,
};

export interface RevocationResponse {
  readonly RevokedCerts: readonly { readonly Serial: string; readonly AKI: string }[];
  readonly CRL: string;
}

/** Everybody may revoke itself; others only by `hf.Revoker` and on types that the caller may act on. */
function checkMayRevoke(caller: Caller, owner: RegisteredIdentity): void {
  if (caller.identity.id === owner.id) {
    return;
  }
  const rights = caller.identity.attributes;
  if (!isTrue(rights, 'hf.Revoker') || !mayActOnType(rights, owner.type)) {
    throw authorizationFailure('Caller does not have authority to revoke');
  }
}

/** The organisation's whole list of revoked certificates, base64 of PEM. @throws CaError 400 */
async function signedList(ca: CaContext, filter: CrlRequest): Promise<string> {
  const { revokedAfter = 0, revokedBefore = Infinity, expireAfter = 0, expireBefore = Infinity } = filter;
  if (revokedAfter > revokedBefore) {
    throw new CaError(
      400,
      CA_ERROR.INVALID_REVOKED_AFTER,
      "Invalid 'revokedafter' value. It must not be a timestamp greater than 'revokedbefore'",
    );
  }
  if (expireAfter > expireBefore) {
    throw new CaError(
      400,
      CA_ERROR.INVALID_EXPIRE_AFTER,
      "Invalid 'expireafter' value. It must not be a timestamp greater than 'expirebefore'",
    );
  }
  const entries = (await ca.registry.revokedCertificates()).filter(
    ({ revokedAtMs, notAfterMs }) =>
      revokedAtMs >= revokedAfter &&
      revokedAtMs <= revokedBefore &&
      notAfterMs >= expireAfter &&
      notAfterMs <= expireBefore,
  );
  return Buffer.from(await ca.identityAuthority.issueRevocationList(entries)).toString('base64');
}

/** @throws CaError 403 without `hf.GenCRL` */
export async function generateCrl(ca: CaContext, caller: Caller, request: CrlRequest): Promise<{ CRL: string }> {
  if (!isTrue(caller.identity.attributes, 'hf.GenCRL')) {
    throw authorizationFailure(`The identity '${caller.identity.id}' does not have authority to generate a CRL`);
  }
  return { CRL: await signedList(ca, request) };
}

function certificateToRevoke(ca: CaContext, caller: Caller, request: RevocationRequest): CertificateRecord {
  const serial = normaliseSerial(request.serial);
  const aki = normaliseSerial(request.aki);
  const named = `Certificate with serial ${serial} and AKI ${aki}`;
  const record = ca.registry.certificate(serial);
  const owner = record === undefined ? undefined : ca.registry.identity(record.owner);
  if (record === undefined || owner === undefined || aki !== normaliseSerial(ca.identityAuthority.authorityKeyId)) {
    throw new CaError(404, CA_ERROR.REVOKED_CERTIFICATE_NOT_FOUND, `${named} was not found`);
  }
  checkMayRevoke(caller, owner);
  if (record.revoked !== undefined) {
    throw new CaError(404, CA_ERROR.CERTIFICATE_ALREADY_REVOKED, `${named} was already revoked`);
  }
  if (request.id !== '' && request.id !== owner.id) {
    throw new CaError(400, CA_ERROR.CERTIFICATE_WRONG_OWNER, `${named} is not owned by ${request.id}`);
  }
  return record;
}

/**
 * Revokes one certificate (by serial and authority key id), or an identity and all its certificates. Answers when it
 * is on disk and when the membership checks of the network know it.
 * @throws CaError
 */
export async function revoke(ca: CaContext, caller: Caller, request: RevocationRequest): Promise<RevocationResponse> {
  const reason = REASONS[request.reason.toLowerCase()] ?? x509.X509CrlReason.unspecified;
  const revoked = await ca.registry.exclusively(async () => {
    if (request.serial !== '' && request.aki !== '') {
      const record = certificateToRevoke(ca, caller, request);
      await ca.registry.revoke([record], reason);
      return [record];
    }
    if (request.id === '') {
      throw new CaError(
        400,
        CA_ERROR.MISSING_REVOKE_ARGUMENTS,
        'Either Name or Serial and AKI are required for a revoke request',
      );
    }
    const owner = ca.registry.identity(request.id);
    if (owner === undefined) {
      throw new CaError(404, CA_ERROR.REVOKE_IDENTITY_NOT_FOUND, `Identity ${request.id} was not found`);
    }
    checkMayRevoke(caller, owner);
    const records = (await ca.registry.certificatesOf(owner.id)).filter((record) => record.revoked === undefined);
    await ca.registry.revoke(records, reason, owner);
    return records;
  });
  await ca.publishRevocations();
  const list = request.gencrl === true && revoked.length > 0;
  return {
    RevokedCerts: revoked.map(({ serial }) => ({ Serial: serial, AKI: ca.identityAuthority.authorityKeyId })),
    CRL: list ? await signedList(ca, crlWithoutLimits) : '',
  };
}

const crlWithoutLimits: CrlRequest = {
  revokedAfter: undefined,
  revokedBefore: undefined,
  expireAfter: undefined,
  expireBefore: undefined,
};
