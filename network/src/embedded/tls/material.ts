// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory, writeFileAtomic } from '../../durable.js';
import { systemErrorCode } from '../../errors.js';
import { CertificateAuthority, newKeyPair } from '../ca/authority.js';
import type { KeyPairPem } from '../types.js';

const DAY_MS = 86_400_000;
const NODE_VALIDITY_MS = 2 * 365 * DAY_MS;
/** A certificate of a node with less than this left is issued anew at the next start. */
const RENEW_BEFORE_MS = 60 * DAY_MS;
/** How servers of this network are addressed. */
const LOOPBACK_HOSTS = ['localhost', '127.0.0.1'];

/** All keys and certificates that an organisation's part of the network works with. */
export interface OrganisationMaterial {
  readonly identityCa: KeyPairPem;
  readonly tlsCa: KeyPairPem;
  readonly peer: KeyPairPem;
  readonly orderer: KeyPairPem;
  readonly gatewayTls: KeyPairPem;
  readonly caTls: KeyPairPem;
  readonly chaincodeServerTls: KeyPairPem;
  readonly chaincodeClientTls: KeyPairPem;
}

async function readPair(directory: string, name: string): Promise<KeyPairPem | undefined> {
  try {
    return {
      certificatePem: await readFile(join(directory, `${name}.crt`), 'utf8'),
      privateKeyPem: await readFile(join(directory, `${name}.key`), 'utf8'),
    };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

/** The key first: a certificate that is there has its key beside it. */
async function writePair(directory: string, name: string, pair: KeyPairPem): Promise<KeyPairPem> {
  await writeFileAtomic(join(directory, `${name}.key`), pair.privateKeyPem, 0o600);
  await writeFileAtomic(join(directory, `${name}.crt`), pair.certificatePem);
  return pair;
}

type Leaf = Omit<Parameters<CertificateAuthority['issue']>[0], 'publicKeySpki' | 'validityMs'>;

/** The key of an existing pair, or a new one: a renewed certificate keeps its key, so that the two always match. */
function keyOf(existing: KeyPairPem | undefined): ReturnType<typeof newKeyPair> {
  if (existing === undefined) {
    return newKeyPair();
  }
  const { privateKeyPem } = existing;
  return { privateKeyPem, publicKeySpki: createPublicKey(privateKeyPem).export({ type: 'spki', format: 'der' }) };
}

/** Reads a node's pair; issues its certificate when it is missing or about to end. */
async function ensureLeaf(directory: string, name: string, ca: CertificateAuthority, leaf: Leaf): Promise<KeyPairPem> {
  const existing = await readPair(directory, name);
  if (existing !== undefined) {
    const endsMs = Date.parse(new X509Certificate(existing.certificatePem).validTo);
    if (endsMs - Date.now() > RENEW_BEFORE_MS) {
      return existing;
    }
  }
  const { privateKeyPem, publicKeySpki } = keyOf(existing);
  const { pem } = await ca.issue({ ...leaf, publicKeySpki, validityMs: NODE_VALIDITY_MS });
  return writePair(directory, name, { certificatePem: pem, privateKeyPem });
}

/** Makes an organisation's two roots, both or none: a folder that exists is complete. */
async function ensureRoots(directory: string, organisation: string, mspId: string): Promise<void> {
  if ((await readPair(directory, 'identity-ca')) !== undefined) {
    return;
  }
  const fresh = `${directory}.${randomBytes(6).toString('hex')}`;
  await mkdir(fresh, { recursive: true, mode: 0o700 });
  try {
    await writePair(fresh, 'identity-ca', await CertificateAuthority.createRoot(mspId, `ca-${organisation}`));
    await writePair(fresh, 'tls-ca', await CertificateAuthority.createRoot(mspId, `tlsca-${organisation}`));
    await rename(fresh, directory);
    await syncDirectory(dirname(directory));
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/**
 * Reads an organisation's keys and certificates, making what is missing: an identity CA and a TLS CA apart from it, the
 * identities of peer and orderer, and the TLS pairs of gateway, CA and chaincode. Keys are files of mode 0600.
 */
export async function ensureMaterial(
  directory: string,
  organisation: string,
  mspId: string,
): Promise<OrganisationMaterial> {
  await mkdir(dirname(directory), { recursive: true, mode: 0o700 });
  await ensureRoots(directory, organisation, mspId);
  const identityCa = await readPair(directory, 'identity-ca');
  const tlsCa = await readPair(directory, 'tls-ca');
  if (identityCa === undefined || tlsCa === undefined) {
    throw new Error(`${directory} lacks a root key; it cannot be made again: run clean`);
  }
  const identity = await CertificateAuthority.open(identityCa);
  const tls = await CertificateAuthority.open(tlsCa);
  const node = (role: 'peer' | 'orderer'): Promise<KeyPairPem> =>
    ensureLeaf(directory, role, identity, { commonName: `${role}.${organisation}`, organisationalUnits: [role] });
  const server = (name: string): Promise<KeyPairPem> =>
    ensureLeaf(directory, name, tls, {
      commonName: `${name}.${organisation}`,
      hosts: LOOPBACK_HOSTS,
      tlsUses: ['server'],
    });
  return {
    identityCa,
    tlsCa,
    peer: await node('peer'),
    orderer: await node('orderer'),
    gatewayTls: await server('gateway-tls'),
    caTls: await server('ca-tls'),
    chaincodeServerTls: await server('chaincode-server-tls'),
    chaincodeClientTls: await ensureLeaf(directory, 'chaincode-client-tls', tls, {
      commonName: `chaincode-client.${organisation}`,
      tlsUses: ['client'],
    }),
  };
}
