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
}

export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicKey: string;
}

const certificates = new Map<string, Promise<string>>();

/** A real certificate with the role attribute; the MSP is what the peer would have checked. */
export async function identity(mspId: string, role: string, options: IdentityOptions = {}): Promise<Identity> {
  const { unit = 'client', commonName = `${role}-1`, attributes = { role } } = options;
  const name = JSON.stringify([unit, commonName, attributes]);
  let certificate = certificates.get(name);
  if (certificate === undefined) {
    certificate = issue(unit, commonName, attributes);
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

async function issue(unit: string, commonName: string, attributes: Readonly<Record<string, string>>): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ OU: [unit] }, { CN: [commonName] }],
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.Extension(ATTRIBUTES_OID, false, Buffer.from(JSON.stringify({ attrs: attributes })))],
    },
    webcrypto,
  );
  return certificate.toString('pem');
}
