// SPDX-License-Identifier: Apache-2.0
import { verify, X509Certificate, type KeyObject } from 'node:crypto';
import { MspError, type Identity, type MembershipVerifier, type NodeOu } from '../types.js';
import { deserializeIdentity } from './identity.js';
import { revokedSerials } from './revocation.js';
import { P256_HALF_ORDER, parseSignature } from './signature.js';
import { normaliseSerial, x509 } from './x509.js';

const NODE_OUS: ReadonlySet<string> = new Set<NodeOu>(['client', 'peer', 'admin', 'orderer']);
const DEFAULT_CACHE_ENTRIES = 4096;

/** One MSP of the channel: certificates count as its members' when its root issued them directly. */
export interface MspDefinition {
  readonly mspId: string;
  /** PEM of the identity CA's root certificate. */
  readonly identityCaCert: string;
}

/** Membership checks, and the way revocations reach them. */
export interface RevocableMembershipVerifier extends MembershipVerifier {
  /**
   * Replaces an MSP's revocation lists (PEM); takes effect at once, for identities seen before as well.
   * @throws MspError MSP_UNKNOWN; Error when a list does not come from this MSP's CA.
   */
  setRevocationLists(mspId: string, crls: readonly string[]): Promise<void>;
}

interface Msp {
  readonly mspId: string;
  readonly rootPem: string;
  readonly root: X509Certificate;
  readonly rootKey: KeyObject;
  revoked: ReadonlySet<string>;
}

interface CachedIdentity {
  readonly msp: Msp;
  readonly identity: Identity;
  readonly notBeforeMs: number;
  readonly serial: string;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether the key is one on P-256: the only curve of this network. */
function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';
}

function parseCertificate(idBytes: Uint8Array): X509Certificate {
  const pem = Buffer.from(idBytes).toString('utf8');
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new MspError('MALFORMED', 'could not decode the PEM structure');
  }
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new MspError('MALFORMED', `parseCertificate failed: ${messageOf(error)}`);
  }
}

/** A certificate's key is decoded only now: anybody may send one that parses with a key that does not. */
function publicKeyOf(certificate: X509Certificate): KeyObject {
  try {
    return certificate.publicKey;
  } catch (error) {
    throw new MspError('MALFORMED', `could not decode the public key: ${messageOf(error)}`);
  }
}

/** The one organisational unit that says what the identity is (Fabric: NodeOUs). */
function nodeOu(mspId: string, certificate: x509.X509Certificate): NodeOu {
  const units = certificate.subjectName.getField('OU');
  const roles = units.filter((unit): unit is NodeOu => NODE_OUS.has(unit));
  const [role, ...others] = roles;
  const seen = `OUs: [${units.join(' ')}], MSP: [${mspId}]`;
  if (role === undefined) {
    throw new MspError(
      'NODE_OU',
      `could not validate identity's OUs: the identity does not have an OU that resolves to client, peer, orderer, or admin role. ${seen}`,
    );
  }
  if (others.length > 0) {
    throw new MspError(
      'NODE_OU',
      `could not validate identity's OUs: the identity must have a client, a peer, an orderer, or an admin OU role to be valid, not a combination of them. ${seen}`,
    );
  }
  return role;
}

function checkChain(msp: Msp, certificate: X509Certificate): void {
  if (certificate.ca) {
    throw new MspError(
      'NOT_ISSUED',
      'could not obtain certification chain: An X509 certificate with Basic Constraint: Certificate Authority equals true cannot be used as an identity',
    );
  }
  if (!certificate.checkIssued(msp.root) || !certificate.verify(msp.rootKey)) {
    throw new MspError(
      'NOT_ISSUED',
      'could not obtain certification chain: the supplied identity is not valid: x509: certificate signed by unknown authority',
    );
  }
}

class X509MembershipVerifier implements RevocableMembershipVerifier {
  readonly mspIds: readonly string[];
  readonly #msps: ReadonlyMap<string, Msp>;
  readonly #cache = new Map<string, CachedIdentity>();
  readonly #cacheEntries: number;

  constructor(definitions: readonly MspDefinition[], cacheEntries: number) {
    this.mspIds = definitions.map(({ mspId }) => mspId);
    this.#cacheEntries = cacheEntries;
    this.#msps = new Map(
      definitions.map(({ mspId, identityCaCert }) => {
        const root = new X509Certificate(identityCaCert);
        return [mspId, { mspId, rootPem: identityCaCert, root, rootKey: root.publicKey, revoked: new Set<string>() }];
      }),
    );
  }

  identify(serializedIdentity: Uint8Array, atMs: number): Identity {
    const entry = this.#lookUp(serializedIdentity);
    if (entry.msp.revoked.has(entry.serial)) {
      throw new MspError(
        'REVOKED',
        'could not validate identity against certification chain: The certificate has been revoked',
      );
    }
    if (atMs > entry.identity.notAfterMs) {
      throw new MspError('EXPIRED', 'proposal client identity expired');
    }
    if (atMs < entry.notBeforeMs) {
      throw new MspError('EXPIRED', 'x509: certificate has expired or is not yet valid');
    }
    return entry.identity;
  }

  identifyAtAnyTime(serializedIdentity: Uint8Array): Identity {
    return this.#lookUp(serializedIdentity).identity;
  }

  /** What never changes about a certificate is cached; what time and revocation lists change is not in it. */
  #lookUp(serializedIdentity: Uint8Array): CachedIdentity {
    const key = Buffer.from(
      serializedIdentity.buffer,
      serializedIdentity.byteOffset,
      serializedIdentity.length,
    ).toString('latin1');
    let entry = this.#cache.get(key);
    if (entry === undefined) {
      entry = this.#validate(serializedIdentity);
    } else {
      this.#cache.delete(key);
    }
    // Re-inserted last: the map's order is then that of use, and its first entry the one to drop.
    this.#cache.set(key, entry);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > this.#cacheEntries && oldest !== undefined) {
      this.#cache.delete(oldest);
    }
    return entry;
  }

  verify(identity: Identity, message: Uint8Array, signature: Uint8Array): void {
    const parsed = parseSignature(signature);
    if (parsed === undefined) {
      throw new MspError(
        'SIGNATURE',
        'could not determine the validity of the signature: failed unmashalling signature',
      );
    }
    if (parsed.s > P256_HALF_ORDER) {
      throw new MspError(
        'HIGH_S',
        `could not determine the validity of the signature: Invalid S. Must be smaller than half the order [${parsed.s.toString()}][${P256_HALF_ORDER.toString()}].`,
      );
    }
    if (!verify('sha256', message, identity.publicKey, signature)) {
      throw new MspError('SIGNATURE', 'The signature is invalid');
    }
  }

  async setRevocationLists(mspId: string, crls: readonly string[]): Promise<void> {
    const msp = this.#msp(mspId);
    msp.revoked = await revokedSerials(msp.rootPem, crls);
  }

  #msp(mspId: string): Msp {
    const msp = this.#msps.get(mspId);
    if (msp === undefined) {
      throw new MspError('MSP_UNKNOWN', `MSP ${mspId} is not defined on channel`);
    }
    return msp;
  }

  #validate(serializedIdentity: Uint8Array): CachedIdentity {
    const { mspId, idBytes } = deserializeIdentity(serializedIdentity);
    const msp = this.#msp(mspId);
    const certificate = parseCertificate(idBytes);
    const publicKey = publicKeyOf(certificate);
    if (!isP256(publicKey)) {
      throw new MspError(
        'MALFORMED',
        "could not validate identity's public key algorithm: only ECDSA on P-256 is supported",
      );
    }
    checkChain(msp, certificate);
    const parsed = new x509.X509Certificate(certificate.raw);
    return {
      msp,
      serial: normaliseSerial(parsed.serialNumber),
      notBeforeMs: parsed.notBefore.getTime(),
      identity: {
        mspId,
        ou: nodeOu(mspId, parsed),
        certificatePem: Buffer.from(idBytes).toString('utf8'),
        publicKey,
        notAfterMs: parsed.notAfter.getTime(),
      },
    };
  }
}

/**
 * Membership checks of one channel, worded as a Fabric peer words them.
 *
 * @param definitions the channel's MSPs
 * @param cacheEntries identities remembered, at the most
 */
export function newMembershipVerifier(
  definitions: readonly MspDefinition[],
  cacheEntries = DEFAULT_CACHE_ENTRIES,
): RevocableMembershipVerifier {
  return new X509MembershipVerifier(definitions, cacheEntries);
}
