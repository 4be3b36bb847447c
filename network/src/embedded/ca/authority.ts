// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import { P256_HALF_ORDER, parseSignature } from '../msp/signature.js';
import { x509 } from '../msp/x509.js';
import type { KeyPairPem } from '../types.js';

const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
/** Certificates begin a little earlier than now, so that a client whose clock is slow can use them at once. */
const BACKDATE_MS = 5 * 60_000;
/** The name of RFC 7468, section 5, which OpenSSL and Go insist on; the library's own is another. */
const CRL_PEM_TYPE = 'X509 CRL';
const DAY_MS = 86_400_000;
export const ROOT_VALIDITY_MS = 3_653 * DAY_MS;

/** What a leaf certificate says besides its key. */
export interface LeafCertificate {
  readonly commonName: string;
  /** Organisational units; the first is the node OU: client, peer, orderer or admin. */
  readonly organisationalUnits?: readonly string[];
  /** DER of the SubjectPublicKeyInfo to certify. */
  readonly publicKeySpki: Uint8Array;
  readonly validityMs: number;
  /** Subject alternative names: host names and IP addresses. */
  readonly hosts?: readonly string[];
  /** Present for TLS certificates, whose use is limited to these. */
  readonly tlsUses?: readonly ('server' | 'client')[];
  readonly extensions?: readonly x509.Extension[];
}

export interface IssuedCertificate {
  readonly pem: string;
  /** Lower-case hex. */
  readonly serial: string;
  readonly notAfterMs: number;
}

/** A revoked certificate, as it stands in a revocation list. */
export interface RevokedEntry {
  readonly serial: string;
  readonly revokedAtMs: number;
  /** RFC 5280, section 5.3.1. */
  readonly reason: x509.X509CrlReason;
}

/** A new private key on P-256 (PKCS#8 PEM) and its public half (SubjectPublicKeyInfo DER). */
export function newKeyPair(): { privateKeyPem: string; publicKeySpki: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKeySpki: publicKey.export({ type: 'spki', format: 'der' }),
  };
}

/** 20 octets at the most, positive, unpredictable (RFC 5280, section 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(20);
  // The first octet decides sign and length: within 40-7f the number is positive and never shortened by encoding.
  bytes[0] = 0x40 | ((bytes[0] ?? 0) & 0x3f);
  return bytes.toString('hex');
}

/** Seconds are the resolution of certificates. */
function wholeSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

/** Names as JSON of explicitly typed values: nothing in an enrolment id can then be read as another attribute. */
function distinguishedName(parts: readonly (readonly [string, string])[]): x509.Name {
  return new x509.Name(parts.map(([type, value]) => ({ [type]: [{ utf8String: value }] })));
}

function hostNames(hosts: readonly string[]): { type: 'dns' | 'ip'; value: string }[] {
  return hosts.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value }));
}

/** Whether a certificate is signed with the lower S. */
function hasLowS(certificate: x509.X509Certificate): boolean {
  const signature = parseSignature(new Uint8Array(certificate.signature));
  if (signature === undefined) {
    throw new TypeError('The certificate library no longer gives signatures as DER');
  }
  return signature.s <= P256_HALF_ORDER;
}

/** One certificate authority: an identity CA or a TLS CA of an organisation. */
export class CertificateAuthority {
  readonly certificatePem: string;
  readonly notAfterMs: number;
  /** Lower-case hex, as it stands in what this CA issues. */
  readonly authorityKeyId: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey, keyId: string) {
    this.#certificate = certificate;
    this.#key = key;
    this.certificatePem = `${certificate.toString('pem')}\n`;
    this.notAfterMs = certificate.notAfter.getTime();
    this.authorityKeyId = keyId;
  }

  /** Makes the key and the self-signed root of a new CA. */
  static async createRoot(organisation: string, commonName: string): Promise<KeyPairPem> {
    const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(),
      name: distinguishedName([
        ['O', organisation],
        ['CN', commonName],
      ]),
      notBefore: wholeSeconds(Date.now() - BACKDATE_MS),
      notAfter: wholeSeconds(Date.now() + ROOT_VALIDITY_MS),
      keys,
      signingAlgorithm: SIGNING,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
    const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    return {
      certificatePem: `${certificate.toString('pem')}\n`,
      privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  }

  /** @throws TypeError when the certificate is no CA's. */
  static async open(pair: KeyPairPem): Promise<CertificateAuthority> {
    const pkcs8 = createPrivateKey(pair.privateKeyPem).export({ type: 'pkcs8', format: 'der' });
    const key = await webcrypto.subtle.importKey('pkcs8', pkcs8, P256, false, ['sign']);
    const certificate = new x509.X509Certificate(pair.certificatePem);
    const keyId = certificate.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
    if (keyId === undefined) {
      throw new TypeError(`The certificate "${certificate.subject}" has no subject key identifier: it is no CA's`);
    }
    return new CertificateAuthority(certificate, key, keyId.toLowerCase());
  }

  /** Issues a certificate that begins no earlier and ends no later than the CA's own: peers refuse any other. */
  async issue(leaf: LeafCertificate): Promise<IssuedCertificate> {
    const now = Date.now();
    const start = Math.max(now - BACKDATE_MS, this.#certificate.notBefore.getTime());
    const notAfter = wholeSeconds(Math.min(now + leaf.validityMs, this.notAfterMs));
    const publicKey = new x509.PublicKey(leaf.publicKeySpki);
    const usages =
      leaf.tlsUses === undefined
        ? []
        : [
            new x509.ExtendedKeyUsageExtension(
              leaf.tlsUses.map((use) =>
                use === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
              ),
            ),
          ];
    const parameters = {
      serialNumber: newSerial(),
      subject: distinguishedName([
        ...(leaf.organisationalUnits ?? []).map((unit) => ['OU', unit] as const),
        ['CN', leaf.commonName],
      ]),
      issuer: this.#certificate.subjectName,
      notBefore: wholeSeconds(Math.min(start, notAfter.getTime())),
      notAfter,
      signingKey: this.#key,
      publicKey,
      signingAlgorithm: SIGNING,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        new x509.AuthorityKeyIdentifierExtension(this.authorityKeyId),
        ...usages,
        ...(leaf.hosts?.length ? [new x509.SubjectAlternativeNameExtension(hostNames(leaf.hosts))] : []),
        ...(leaf.extensions ?? []),
      ],
    };
    // Fabric re-encodes certificates signed with a high S, which changes their bytes: sign until S is low, as its CA does.
    let certificate = await x509.X509CertificateGenerator.create(parameters);
    while (!hasLowS(certificate)) {
      certificate = await x509.X509CertificateGenerator.create(parameters);
    }
    return {
      pem: `${certificate.toString('pem')}\n`,
      serial: parameters.serialNumber,
      notAfterMs: notAfter.getTime(),
    };
  }

  /** Signs a revocation list (RFC 5280, section 5), as PEM. */
  async issueRevocationList(entries: readonly RevokedEntry[], validityMs = DAY_MS): Promise<string> {
    const now = Date.now();
    const crl = await x509.X509CrlGenerator.create({
      issuer: this.#certificate.subjectName,
      thisUpdate: wholeSeconds(now),
      nextUpdate: wholeSeconds(now + validityMs),
      signingAlgorithm: SIGNING,
      signingKey: this.#key,
      extensions: [new x509.AuthorityKeyIdentifierExtension(this.authorityKeyId)],
      entries: entries.map(({ serial, revokedAtMs, reason }) => ({
        serialNumber: serial,
        revocationDate: wholeSeconds(revokedAtMs),
        ...(reason === x509.X509CrlReason.unspecified ? {} : { reason }),
      })),
    });
    return `${x509.PemConverter.encode(crl.rawData, CRL_PEM_TYPE)}\n`;
  }
}
