// SPDX-License-Identifier: Apache-2.0
import { createHash, verify, X509Certificate, type KeyObject } from 'node:crypto';
import { msp } from '@hyperledger/fabric-protos';
import { AuditError } from './failure.js';

/** The roots of one organisation, as the connection profile names them. */
export interface TrustedOrganisation {
  readonly mspId: string;
  /** One or more PEM certificates. */
  readonly identityCaCert: string;
}

export type OrganisationUnit = 'client' | 'peer' | 'admin' | 'orderer';

/** An identity whose certificate chains to its organisation's root. */
export interface Member {
  readonly mspId: string;
  readonly unit: OrganisationUnit;
  readonly publicKey: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subject: string;
}

/** Why a serialised identity is not that of a member. */
export class MembershipError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MembershipError';
  }
}

/** Checks identities and signatures against the roots of the connection profile. Answers are cached by bytes. */
export interface Membership {
  readonly mspIds: readonly string[];
  /** @throws MembershipError where the identity does not chain to a root of the MSP it claims. */
  identify(serializedIdentity: Uint8Array): Member;
  /** True where the DER signature over SHA-256 of the message holds and has a low S, as Fabric demands. */
  verify(member: Member, message: Uint8Array, signature: Uint8Array): boolean;
}

const UNITS: readonly OrganisationUnit[] = ['client', 'peer', 'admin', 'orderer'];
/** Order of P-256 (FIPS 186-5, SP 800-186), halved and rounded down. */
const HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;

/** @throws AuditError ROOT_CERTIFICATE */
export function newMembership(organisations: readonly TrustedOrganisation[]): Membership {
  const roots = new Map(organisations.map((o) => [o.mspId, certificatesOf(o.mspId, o.identityCaCert)]));
  const known = new Map<string, Member | MembershipError>();
  return {
    mspIds: [...roots.keys()],
    identify(serializedIdentity) {
      const key = createHash('sha256').update(serializedIdentity).digest('base64');
      let found = known.get(key);
      if (found === undefined) {
        found = attempt(() => identify(roots, serializedIdentity));
        known.set(key, found);
      }
      if (found instanceof MembershipError) {
        throw found;
      }
      return found;
    },
    verify(member, message, signature) {
      const s = signatureS(signature);
      return s !== undefined && s <= HALF_ORDER && verify('sha256', message, member.publicKey, signature);
    },
  };
}

function attempt(identification: () => Member): Member | MembershipError {
  try {
    return identification();
  } catch (error) {
    if (error instanceof MembershipError) {
      return error;
    }
    return new MembershipError(error instanceof Error ? error.message : String(error));
  }
}

function identify(roots: ReadonlyMap<string, readonly X509Certificate[]>, bytes: Uint8Array): Member {
  const identity = msp.SerializedIdentity.deserializeBinary(bytes);
  const mspId = identity.getMspid();
  const issuers = roots.get(mspId);
  if (issuers === undefined) {
    throw new MembershipError(`MSP ${mspId} is not in the connection profile`);
  }
  const certificate = new X509Certificate(Buffer.from(identity.getIdBytes_asU8()));
  const issuer = issuers.find((root) => certificate.checkIssued(root) && certificate.verify(root.publicKey));
  if (issuer === undefined) {
    throw new MembershipError(`the certificate was not issued by ${mspId}`);
  }
  if (certificate.ca) {
    throw new MembershipError('a CA certificate is not an identity');
  }
  const publicKey = certificate.publicKey;
  if (publicKey.asymmetricKeyType !== 'ec' || publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new MembershipError('the certificate does not hold a P-256 key');
  }
  return {
    mspId,
    unit: unitOf(certificate.subject),
    publicKey,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    subject: certificate.subject.replaceAll('\n', ', '),
  };
}

/** With NodeOUs an identity has exactly one of them, as a peer demands too. */
function unitOf(subject: string): OrganisationUnit {
  const parts = new Set(subject.split(/[\n+]/).map((part) => part.trim()));
  const [unit, ...others] = UNITS.filter((one) => parts.has(`OU=${one}`));
  if (unit === undefined || others.length > 0) {
    throw new MembershipError('the certificate does not name exactly one of the units client, peer, admin, orderer');
  }
  return unit;
}

/** @throws AuditError ROOT_CERTIFICATE */
export function certificatesOf(mspId: string, pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new AuditError({ kind: 'export', where: `root certificate of ${mspId}`, code: 'ROOT_CERTIFICATE', detail });
  }
}

/** The second integer of SEQUENCE { r INTEGER, s INTEGER }; undefined where the bytes are not that. */
function signatureS(signature: Uint8Array): bigint | undefined {
  const [tag, length, rTag, rLength] = signature;
  if (tag !== 0x30 || length !== signature.length - 2 || rTag !== 0x02 || rLength === undefined) {
    return undefined;
  }
  const at = 4 + rLength;
  const sLength = signature[at + 1];
  if (signature[at] !== 0x02 || sLength === undefined || sLength === 0 || at + 2 + sLength !== signature.length) {
    return undefined;
  }
  return BigInt(`0x${Buffer.from(signature.subarray(at + 2)).toString('hex')}`);
}
