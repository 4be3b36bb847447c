// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';
import { nodeSecret, type NodeIdentity } from './ca-config.js';
import { caNameOf, mspFiles, ownHost, tlsCaNameOf, tlsFiles, type Member } from './layout.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** How long a CA may be too busy to answer. */
const CA_DEADLINE_MS = 60_000;
const LOOPBACK_HOSTS = ['localhost', '127.0.0.1'];

/** A new key and a certificate request for it. The subject's name is the CA's to settle: it takes the enrollment id. */
async function newRequest(commonName: string, hosts: readonly string[]): Promise<{ keyPem: string; csr: string }> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const names = hosts.map((host) => ({ type: /^[0-9.]+$/.test(host) ? 'ip' : 'dns', value: host }) as const);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${commonName}`,
    keys,
    signingAlgorithm: { ...P256, hash: 'SHA-256' },
    extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return {
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    csr: request.toString('pem'),
  };
}

function refusal(ca: string, enrollmentId: string, cause: unknown): NetworkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NetworkError('NETWORK_START_FAILED', `${ca} does not enrol "${enrollmentId}": ${reason}`, { cause });
}

/** Loads Fabric's client package, which takes half a second: on demand, and while the CA servers start. */
export async function loadCaClient() {
  process.env['HFC_LOGGING'] ??= '{}';
  const [{ default: FabricCAServices }, { User }] = await Promise.all([
    import('fabric-ca-client'),
    import('fabric-common'),
  ]);
  return { FabricCAServices, User };
}

/** Whether an organisation has the identities of its nodes, so that its CA has none to sign at a start. */
export const isEnrolled = ({ layout }: Member): boolean => existsSync(mspFiles(layout.adminMsp).certificate);

/** Has the CA sign a request. */
async function enrol(member: Member, identity: NodeIdentity, isTls: boolean, csr: string): Promise<string> {
  const { FabricCAServices, User } = await loadCaClient();
  const { organisation, ports, layout } = member;
  const name = isTls ? tlsCaNameOf(organisation) : caNameOf(organisation);
  // The CA server's own TLS certificate comes from its identity CA.
  const trustedRoots = [await readFile(rootFile(layout.ca), 'utf8')];
  const cryptoSuite = User.newCryptoSuite() as ConstructorParameters<typeof FabricCAServices>[3];
  const url = `https://${ownHost(organisation)}:${ports.ca.toString()}`;
  const client = new FabricCAServices(url, { trustedRoots, verify: true }, name, cryptoSuite);
  const { enrollmentId, enrollmentSecret } = await nodeSecret(member, identity);
  let last: unknown;
  const certificate = await poll(async () => {
    try {
      const request = { enrollmentID: enrollmentId, enrollmentSecret, csr, ...(isTls ? { profile: 'tls' } : {}) };
      return (await client.enroll(request)).certificate;
    } catch (error) {
      last = error;
      // The client gives a busy CA three seconds only.
      if (/timeout|ECONNRESET|ECONNREFUSED/i.test(String(error))) {
        return undefined;
      }
      throw refusal(name, enrollmentId, error);
    }
  }, CA_DEADLINE_MS);
  if (certificate === undefined) {
    throw refusal(name, enrollmentId, last);
  }
  return certificate;
}

/** Root certificate of a CA folder, which the CA server makes at its first start. */
export const rootFile = (ca: string): string => join(ca, 'ca-cert.pem');

/** NodeOU rules: a certificate's organisational unit says whether it is a client's, peer's, administrator's or orderer's. */
export function mspConfiguration(): string {
  const unit = (name: string) => ({ Certificate: 'cacerts/ca.pem', OrganizationalUnitIdentifier: name });
  return stringify({
    NodeOUs: {
      Enable: true,
      ClientOUIdentifier: unit('client'),
      PeerOUIdentifier: unit('peer'),
      AdminOUIdentifier: unit('admin'),
      OrdererOUIdentifier: unit('orderer'),
    },
  });
}

/** Writes the public part of an MSP folder: roots and rules. */
async function writePublicMsp(member: Member, directory: string): Promise<void> {
  const files = mspFiles(directory);
  await writeFileAtomic(files.ca, await readFile(rootFile(member.layout.ca), 'utf8'));
  await writeFileAtomic(files.tlsCa, await readFile(rootFile(member.layout.tlsCa), 'utf8'));
  await writeFileAtomic(join(directory, 'config.yaml'), mspConfiguration());
}

/**
 * Writes key and certificate. The certificate goes last: one that is there has its key beside it, so an enrolment that
 * was cut short is done again from the start.
 */
async function writePair(keyFile: string, certificateFile: string, keyPem: string, certificate: string): Promise<void> {
  await mkdir(dirname(keyFile), { recursive: true, mode: 0o700 });
  await rm(certificateFile, { force: true });
  await writeFileAtomic(keyFile, keyPem, 0o600);
  await writeFileAtomic(certificateFile, certificate);
}

/** Enrols an identity into an MSP folder; `renew` takes a new key and certificate in place of those that are there. */
async function ensureIdentity(
  member: Member,
  directory: string,
  identity: NodeIdentity,
  renew: boolean,
): Promise<void> {
  const files = mspFiles(directory);
  if (!renew && existsSync(files.certificate)) {
    return;
  }
  const { keyPem, csr } = await newRequest(identity, []);
  const certificate = await enrol(member, identity, false, csr);
  await writePublicMsp(member, directory);
  await writePair(files.key, files.certificate, keyPem, certificate);
}

/** Enrols a TLS pair with the TLS CA; `renew` as for identities. */
export async function ensureTls(
  member: Member,
  directory: string,
  identity: NodeIdentity,
  renew = false,
): Promise<void> {
  const files = tlsFiles(directory);
  if (!renew && existsSync(files.certificate)) {
    return;
  }
  const hosts = [...new Set([member.organisation.host, ...LOOPBACK_HOSTS])];
  const { keyPem, csr } = await newRequest(identity, hosts);
  const certificate = await enrol(member, identity, true, csr);
  await writeFileAtomic(files.ca, await readFile(rootFile(member.layout.tlsCa), 'utf8'));
  await writePair(files.key, files.certificate, keyPem, certificate);
}

/** Enrols an orderer's identity and TLS pair into folders that do not have them; by default those that it runs with. */
export async function ensureOrdererIdentities(
  member: Member,
  { msp, tls }: { readonly msp: string; readonly tls: string } = member.layout.orderer,
): Promise<void> {
  await Promise.all([ensureIdentity(member, msp, 'orderer', false), ensureTls(member, tls, 'orderer')]);
}

/** Enrols an organisation's administrator and peer; `renew` replaces what is there. */
async function ensurePeerIdentities(member: Member, renew: boolean): Promise<void> {
  const { layout } = member;
  await Promise.all([
    ensureIdentity(member, layout.adminMsp, 'org-admin', renew),
    ensureIdentity(member, layout.peer.msp, 'peer', renew),
    ensureTls(member, layout.peer.tls, 'peer', renew),
  ]);
}

/** Replaces keys and certificates of an organisation's administrator and peer. Its CA server has to run. */
export async function renewPeerIdentities(member: Member): Promise<void> {
  await ensurePeerIdentities(member, true);
}

/**
 * Enrols everything that an organisation's nodes need and do not have: administrator, peer and orderer, and their TLS
 * pairs. Its CA server has to run.
 * @throws NetworkError NETWORK_START_FAILED where the CA refuses
 */
export async function ensureNodeIdentities(member: Member): Promise<void> {
  const { layout, organisation } = member;
  await writePublicMsp(member, layout.channelMsp);
  await Promise.all([
    ensurePeerIdentities(member, false),
    ...(organisation.orderer === undefined ? [] : [ensureOrdererIdentities(member)]),
  ]);
}

/** When a certificate file ends, in ms since the epoch. */
export async function certificateEndMs(file: string): Promise<number> {
  return Date.parse(new X509Certificate(await readFile(file)).validTo);
}
