// SPDX-License-Identifier: Apache-2.0
import { createHash, verify, type KeyObject, X509Certificate } from 'node:crypto';
import { msp } from '@hyperledger/fabric-protos';
import type { MspDefinition, OrganisationUnit } from './channel-config.js';
import { AuditError } from './failure.js';

/** The roots of one organisation, as the connection profile names them. */
export interface TrustedOrganisation {
  readonly mspId: string;
  /** One or more PEM certificates. */
  readonly identityCaCert: string;
}

/** An identity whose certificate chains to its organisation's root and is not revoked. */
export interface Member {
  readonly mspId: string;
  readonly unit: OrganisationUnit;
  /** True for the unit `admin`, and for certificates that the configuration names administrators. */
  readonly isAdmin: boolean;
  readonly publicKey: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subject: string;
  /** SHA-256 of the certificate. */
  readonly fingerprint: string;
}

/** Why a serialised identity is not that of a member. */
export class MembershipError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MembershipError';
  }
}

/** Checks identities and signatures against one version of the channel's configuration. Answers are cached by bytes. */
export interface Membership {
  /** @throws MembershipError where the identity is none that its MSP accepts. */
  identify(serializedIdentity: Uint8Array): Member;
  /** True where the DER signature over SHA-256 of the message holds and has a low S, as Fabric demands. */
  verify(member: Member, message: Uint8Array, signature: Uint8Array): boolean;
}

/** Order of P-256 (FIPS 186-5, SP 800-186), halved and rounded down. */
const HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;

export function newMembership(definitions: readonly MspDefinition[]): Membership {
  const msps = new Map(definitions.map((definition) => [definition.mspId, definition]));
  const known = new Map<string, Member | MembershipError>();
  return {
    identify(serializedIdentity) {
      const key = createHash('sha256').update(serializedIdentity).digest('base64');
      let found = known.get(key);
      if (found === undefined) {
        found = attempt(() => identify(msps, serializedIdentity));
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

function identify(msps: ReadonlyMap<string, MspDefinition>, bytes: Uint8Array): Member {
  const identity = msp.SerializedIdentity.deserializeBinary(bytes);
  const mspId = identity.getMspid();
  const definition = msps.get(mspId);
  if (definition === undefined) {
    throw new MembershipError(`MSP ${mspId} is not in the channel's configuration`);
  }
  const certificate = new X509Certificate(Buffer.from(identity.getIdBytes_asU8()));
  if (certificate.ca) {
    throw new MembershipError('a CA certificate is not an identity');
  }
  checkChain(definition, certificate);
  const publicKey = certificate.publicKey;
  if (publicKey.asymmetricKeyType !== 'ec' || publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new MembershipError('the certificate does not hold a P-256 key');
  }
  const unit = unitOf(definition, certificate.subject);
  const fingerprint = certificate.fingerprint256;
  return {
    mspId,
    unit,
    isAdmin: unit === 'admin' || definition.admins.some((admin) => admin.fingerprint256 === fingerprint),
    publicKey,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    subject: certificate.subject.replaceAll('\n', ', '),
    fingerprint,
  };
}

/**
 * Follows the certificate to a root of its MSP and looks every step up in the MSP's revocation lists. Expiry is left
 * out, as by a peer that commits a block: a transaction does not become invalid with time.
 */
function checkChain(definition: MspDefinition, leaf: X509Certificate): void {
  const { mspId, roots, intermediates, revocationLists } = definition;
  const issued = (certificate: X509Certificate) => (issuer: X509Certificate) =>
    certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  let certificate = leaf;
  for (let depth = 0; depth <= intermediates.length; depth++) {
    const root = roots.find(issued(certificate));
    const issuer = root ?? intermediates.find(issued(certificate));
    if (issuer === undefined) {
      break;
    }
    const serial = BigInt(`0x${certificate.serialNumber}`);
    if (revocationLists.some((list) => list.serials.has(serial) && list.isSignedBy(issuer))) {
      throw new MembershipError(`the certificate of ${leaf.subject.replaceAll('\n', ', ')} is revoked`);
    }
    if (root !== undefined) {
      return;
    }
    certificate = issuer;
  }
  throw new MembershipError(`the certificate was not issued by ${mspId}`);
}

/** With NodeOUs an identity has exactly one of them, as a peer demands too. */
function unitOf({ mspId, units }: MspDefinition, subject: string): OrganisationUnit {
  if (units === undefined) {
    throw new MembershipError(`the MSP ${mspId} does not tell units apart (NodeOUs are off)`);
  }
  const parts = new Set(subject.split(/[\n+]/).map((part) => part.trim()));
  const names = Object.entries(units) as [OrganisationUnit, string][];
  const [found, ...others] = names.filter(([, name]) => name !== '' && parts.has(`OU=${name}`));
  if (found === undefined || others.length > 0) {
    throw new MembershipError('the certificate does not name exactly one of the units client, peer, admin, orderer');
  }
  return found[0];
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
