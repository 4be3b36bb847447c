// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import { x509 } from '../msp/x509.js';
import { attributeExtension } from './attributes.js';
import { checkMayEnroll } from './authentication.js';
import type { IssuedCertificate } from './authority.js';
import type { Caller, CaContext } from './context.js';
import { authenticationFailure, authorizationFailure, CA_ERROR, CaError } from './errors.js';
import type { RegisteredIdentity } from './registry.js';
import type { EnrollmentRequest } from './requests.js';

/** Named as what it is: clients show it to people. */
const VERSION = 'embedded, API of Fabric CA 1.5';
/** Values of the attribute `role` of services that get a server's certificate. */
const SERVER_ROLES: readonly string[] = ['aggregator'];
/** What this network's services are reached by: it lives on one machine. */
const LOOPBACK_HOSTS: readonly string[] = ['localhost', '127.0.0.1'];

/** What a client learns of a CA; certificates are base64 of PEM, as everywhere in this API. */
export interface CaInfo {
  readonly CAName: string;
  readonly CAChain: string;
  readonly IssuerPublicKey: string;
  readonly IssuerRevocationPublicKey: string;
  readonly Version: string;
}

export interface EnrollmentResponse {
  readonly Cert: string;
  readonly ServerInfo: CaInfo;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

export function caInfo(ca: CaContext, authority = ca.identityAuthority): CaInfo {
  // Idemix keys: this CA has none, and clients decode the fields whether they use them or not.
  return {
    CAName: ca.name,
    CAChain: base64(authority.certificatePem),
    IssuerPublicKey: '',
    IssuerRevocationPublicKey: '',
    Version: VERSION,
  };
}

function isP256(key: x509.PublicKey): boolean {
  const { asymmetricKeyDetails } = createPublicKey({ key: Buffer.from(key.rawData), format: 'der', type: 'spki' });
  return asymmetricKeyDetails?.namedCurve === 'prime256v1';
}

/** Reads a certificate request (PKCS #10) and checks that its sender holds the key. @throws CaError */
async function readRequest(pem: string, id: string): Promise<x509.Pkcs10CertificateRequest> {
  let request: x509.Pkcs10CertificateRequest;
  let holds: boolean;
  try {
    request = new x509.Pkcs10CertificateRequest(x509.PemConverter.decodeFirst(pem));
    holds = await request.verify();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CaError(400, CA_ERROR.BAD_CSR, `CSR Decode failed: ${reason}`);
  }
  if (!holds) {
    throw new CaError(400, CA_ERROR.BAD_CSR, 'CSR Decode failed: its signature does not hold');
  }
  if (!isP256(request.publicKey)) {
    throw new CaError(400, CA_ERROR.CSR_INVALID, 'CSR input validation failed: the key is not ECDSA on P-256');
  }
  const commonNames = request.subjectName.getField('CN');
  if (commonNames.length !== 1 || commonNames[0] !== id) {
    throw new CaError(
      403,
      CA_ERROR.COMMON_NAME_MISMATCH,
      'The CSR subject common name must equal the enrollment ID',
      `The CSR subject common name must equal the enrollment ID: ${commonNames.join(', ')} is not ${id}`,
    );
  }
  return request;
}

function hostsOf(request: x509.Pkcs10CertificateRequest): string[] {
  const extension = request.extensions.find((candidate) => candidate instanceof x509.SubjectAlternativeNameExtension);
  const names = extension?.names.items ?? [];
  return names.filter(({ type }) => type === 'dns' || type === 'ip').map(({ value }) => value);
}

function isServer({ attributes }: RegisteredIdentity): boolean {
  return attributes.some(({ name, value }) => name === 'role' && SERVER_ROLES.includes(value));
}

/**
 * Profile `tls`: issued by the TLS CA, which is no root of the MSP, so that it never serves as an identity. Nodes get such
 * a certificate, and of the clients those whose attribute `role` names a service that others reach over the network, for
 * this machine and as a server only: with more a client could pose as the peer towards chaincode.
 * @throws CaError 403
 */
async function issueTls(
  ca: CaContext,
  identity: RegisteredIdentity,
  csr: x509.Pkcs10CertificateRequest,
): Promise<IssuedCertificate> {
  const hosts = hostsOf(csr);
  const isNode = identity.type === 'peer' || identity.type === 'orderer';
  if (!isNode && !(isServer(identity) && hosts.every((host) => LOOPBACK_HOSTS.includes(host)))) {
    throw authorizationFailure(`The identity ${identity.id} of type '${identity.type}' may not have a TLS certificate`);
  }
  return ca.tlsAuthority.issue({
    commonName: identity.id,
    organisationalUnits: [identity.type],
    publicKeySpki: new Uint8Array(csr.publicKey.rawData),
    validityMs: ca.enrollmentValidityMs,
    tlsUses: isNode ? ['server', 'client'] : ['server'],
    hosts,
  });
}

async function issueIdentity(
  ca: CaContext,
  identity: RegisteredIdentity,
  csr: x509.Pkcs10CertificateRequest,
  request: EnrollmentRequest,
): Promise<IssuedCertificate> {
  const attributes = attributeExtension(identity.attributes, request.attr_reqs);
  return ca.identityAuthority.issue({
    commonName: identity.id,
    organisationalUnits: [identity.type],
    publicKeySpki: new Uint8Array(csr.publicKey.rawData),
    validityMs: ca.enrollmentValidityMs,
    extensions: attributes === undefined ? [] : [attributes],
  });
}

/** Issues, records durably, answers: in this order, so that no certificate is out that the CA cannot revoke. */
async function enrollIdentity(
  ca: CaContext,
  identity: RegisteredIdentity,
  request: EnrollmentRequest,
  afterIssue: () => RegisteredIdentity,
): Promise<EnrollmentResponse> {
  if (request.profile !== '' && request.profile !== 'tls') {
    throw new CaError(400, CA_ERROR.BAD_BODY, `Invalid profile: '${request.profile}'`);
  }
  const csr = await readRequest(request.certificate_request, identity.id);
  const tls = request.profile === 'tls';
  const issued = await (tls ? issueTls(ca, identity, csr) : issueIdentity(ca, identity, csr, request));
  await ca.registry.exclusively(async () => {
    const owner = afterIssue();
    if (tls) {
      await ca.registry.putIdentity(owner);
    } else {
      const { serial, notAfterMs } = issued;
      await ca.registry.putCertificate({ serial, notAfterMs, owner: owner.id }, owner);
    }
  });
  return { Cert: base64(issued.pem), ServerInfo: caInfo(ca, tls ? ca.tlsAuthority : ca.identityAuthority) };
}

/** First enrolment, by secret. @throws CaError */
export async function enroll(
  ca: CaContext,
  identity: RegisteredIdentity,
  request: EnrollmentRequest,
): Promise<EnrollmentResponse> {
  return enrollIdentity(ca, identity, request, () => {
    // Between the check of the secret and now others may have enrolled with it, or it was changed or revoked.
    const current = ca.registry.identity(identity.id);
    checkMayEnroll(current);
    if (current.secret.hash !== identity.secret.hash) {
      throw authenticationFailure(`Login failure: the secret of ${identity.id} was changed`);
    }
    return { ...current, enrollments: current.enrollments + 1, failedAttempts: 0 };
  });
}

/** Enrolment with a certificate that still holds; it does not count against the maximum. @throws CaError */
export async function reenroll(ca: CaContext, caller: Caller, request: EnrollmentRequest): Promise<EnrollmentResponse> {
  return enrollIdentity(ca, caller.identity, request, () => {
    const current = ca.registry.identity(caller.identity.id);
    if (current === undefined || current.revoked) {
      throw authenticationFailure(`The identity ${caller.identity.id} is revoked; access denied`);
    }
    return current;
  });
}
