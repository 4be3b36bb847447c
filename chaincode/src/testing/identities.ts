// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync, randomBytes, webcrypto, type KeyObject } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { publicKeyText } from '../api';

/** Where Fabric's CA puts attributes. */
const ATTRIBUTES_OID = '1.2.3.4.5.6.7.8.1';

/** A client as the contracts see it: an MSP and a certificate. */
export interface Identity {
  readonly mspId: string;
  readonly certificatePem: string;
}

export interface IdentityOptions {
  readonly unit?: string;
  readonly commonName?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  /** Default: a new one. */
  readonly key?: SigningKey;
  /** End of the certificate; whole seconds, as certificates have them. */
  readonly notAfterMs?: number;
}

export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicKey: string;
}

const certificates = new Map<string, Promise<string>>();

/** A real certificate with the role attribute; the MSP is what the peer would have checked. */
export async function identity(mspId: string, role: string, options: IdentityOptions = {}): Promise<Identity> {
  const { unit = 'client', commonName = `${role}-1`, attributes = { role }, key, notAfterMs } = options;
  const name = JSON.stringify([unit, commonName, attributes, key?.publicKey, notAfterMs]);
  let certificate = certificates.get(name);
  if (certificate === undefined) {
    certificate = issue(unit, commonName, attributes, { key, notAfterMs });
    certificates.set(name, certificate);
  }
  return { mspId, certificatePem: await certificate };
}

export function signingKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, publicKey: publicKeyText(publicKey) };
}

export function randomVehicleId(): string {
  return `v-${randomBytes(16).toString('base64url')}`;
}

export function randomHash(): string {
  return randomBytes(32).toString('hex');
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

async function issue(
  unit: string,
  commonName: string,
  attributes: Readonly<Record<string, string>>,
  { key = signingKey(), notAfterMs }: { key: SigningKey | undefined; notAfterMs: number | undefined },
): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ OU: [unit] }, { CN: [commonName] }],
      keys: await cryptoKeys(key),
      signingAlgorithm: ALGORITHM,
      ...(notAfterMs === undefined ? {} : { notAfter: new Date(notAfterMs) }),
      extensions: [new x509.Extension(ATTRIBUTES_OID, false, Buffer.from(JSON.stringify({ attrs: attributes })))],
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

async function cryptoKeys({ privateKey, publicKey }: SigningKey): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  const secret = privateKey.export({ format: 'der', type: 'pkcs8' });
  return {
    privateKey: await subtle.importKey('pkcs8', secret, ALGORITHM, true, ['sign']),
    publicKey: await subtle.importKey('spki', Buffer.from(publicKey, 'base64'), ALGORITHM, true, ['verify']),
  };
}
