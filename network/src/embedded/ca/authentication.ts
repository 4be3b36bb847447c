// SPDX-License-Identifier: Apache-2.0
import { verify, X509Certificate } from 'node:crypto';
import { P256_HALF_ORDER, parseSignature } from '../msp/signature.js';
import { normaliseSerial, x509 } from '../msp/x509.js';
import type { Caller, CaContext } from './context.js';
import { authenticationFailure, CA_ERROR, CaError } from './errors.js';
import type { RegisteredIdentity } from './registry.js';
import { secretMatches } from './secrets.js';

/** As Fabric CA's `cfg.identities.passwordattempts`. */
const MAX_FAILED_ATTEMPTS = 10;

/** The parts of an HTTP request that a token signs. */
export interface SignedRequest {
  readonly authorization: string | undefined;
  readonly method: string;
  /** Path and query, as sent. */
  readonly uri: string;
  readonly body: Uint8Array;
}

function header(authorization: string | undefined): string {
  if (!authorization) {
    throw new CaError(401, CA_ERROR.NO_AUTHORIZATION_HEADER, 'No authorization header');
  }
  return authorization;
}

function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw authenticationFailure(`Invalid token: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The certificate and the signature of a token: `b64(certificate).b64(signature)`. */
function parseToken(authorization: string): { encoded: string; certificate: X509Certificate; signature: Buffer } {
  const [encoded, signature, ...rest] = authorization.split('.');
  if (encoded === undefined || signature === undefined || rest.length > 0) {
    throw authenticationFailure('Invalid token: it has not two parts');
  }
  const certificate = parseCertificate(Buffer.from(encoded, 'base64').toString('utf8'));
  return { encoded, certificate, signature: Buffer.from(signature, 'base64') };
}

/** Whether an ECDSA signature holds and has the lower S. */
function signatureHolds(message: string, signature: Uint8Array, certificate: X509Certificate): boolean {
  const parsed = parseSignature(signature);
  return (
    parsed !== undefined &&
    parsed.s <= P256_HALF_ORDER &&
    verify('sha256', Buffer.from(message), certificate.publicKey, signature)
  );
}

/** The enrolled identity that a certificate belongs to, if both still hold. @throws CaError 401 */
function callerOf(ca: CaContext, certificate: X509Certificate): Caller {
  const parsed = new x509.X509Certificate(certificate.raw);
  const now = Date.now();
  if (now > parsed.notAfter.getTime() || now < parsed.notBefore.getTime()) {
    throw authenticationFailure('The certificate in the authorization header has expired');
  }
  const serial = normaliseSerial(parsed.serialNumber);
  const record = ca.registry.certificate(serial);
  const identity = record === undefined ? undefined : ca.registry.identity(record.owner);
  if (record === undefined || identity === undefined) {
    throw authenticationFailure('The certificate in the authorization header is none of an enrolled identity');
  }
  if (record.revoked !== undefined || identity.revoked) {
    throw authenticationFailure('The certificate in the authorization header is a revoked certificate');
  }
  return { identity, serial };
}

/**
 * Who signed a request: the signature of its token is over `METHOD.b64(uri).b64(body).b64(certificate)` (fabric-ca,
 * util.VerifyToken).
 * @throws CaError 401
 */
export function authenticateToken(ca: CaContext, request: SignedRequest): Caller {
  const { encoded, certificate, signature } = parseToken(header(request.authorization));
  const root = new X509Certificate(ca.identityAuthority.certificatePem);
  if (certificate.ca || !certificate.checkIssued(root) || !certificate.verify(root.publicKey)) {
    throw authenticationFailure('Untrusted certificate');
  }
  const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
  const signed = `${request.method}.${base64(request.uri)}.${base64(request.body)}.${encoded}`;
  if (!signatureHolds(signed, signature, certificate)) {
    throw authenticationFailure('Invalid token: the signature does not hold');
  }
  return callerOf(ca, certificate);
}

/** Refuses an identity that may not enrol (again). @throws CaError 401 */
export function checkMayEnroll(identity: RegisteredIdentity | undefined): asserts identity is RegisteredIdentity {
  if (identity === undefined) {
    throw authenticationFailure('Failed to get user');
  }
  if (identity.failedAttempts >= MAX_FAILED_ATTEMPTS) {
    const times = identity.failedAttempts.toString();
    throw new CaError(
      401,
      CA_ERROR.PASSWORD_ATTEMPTS,
      `Incorrect password entered ${times} times, max incorrect password limit of ${MAX_FAILED_ATTEMPTS.toString()} reached`,
    );
  }
  if (identity.revoked) {
    throw authenticationFailure(`The identity ${identity.id} is revoked; access denied`);
  }
  if (identity.maxEnrollments >= 0 && identity.enrollments >= identity.maxEnrollments) {
    throw authenticationFailure(
      `The identity ${identity.id} has already enrolled ${identity.enrollments.toString()} times, it has reached its maximum enrollment allowance`,
    );
  }
}

/** The identity whose id and secret a request carries (RFC 7617). Failed attempts are counted. @throws CaError 401 */
export async function authenticateSecret(
  ca: CaContext,
  authorization: string | undefined,
): Promise<RegisteredIdentity> {
  const [scheme, encoded] = header(authorization).split(' ');
  const decoded = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (scheme?.toLowerCase() !== 'basic' || colon < 0) {
    throw authenticationFailure('No user/pass in authorization header');
  }
  const id = decoded.slice(0, colon);
  const identity = ca.registry.identity(id);
  checkMayEnroll(identity);
  if (!(await secretMatches(identity.secret, decoded.slice(colon + 1)))) {
    await ca.registry.exclusively(async () => {
      const current = ca.registry.identity(id) ?? identity;
      await ca.registry.putIdentity({ ...current, failedAttempts: current.failedAttempts + 1 });
    });
    throw authenticationFailure(`Login failure: the secret of ${id} does not match`);
  }
  return identity;
}
