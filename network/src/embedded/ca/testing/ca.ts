// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import FabricCAServices from 'fabric-ca-client';
import { User, type ICryptoKey, type ICryptoSuite } from 'fabric-common';
import { ensureMaterial, type OrganisationMaterial } from '../../tls/material.js';
import { x509 } from '../../msp/x509.js';
import { newSecret } from '../secrets.js';
import { startCaServer, type CaServer, type CaServerConfig } from '../server.js';

export const TEST_MSP = 'GridOperatorMSP';

/** A CA on loopback, in a folder of its own, and clients of it. */
export interface TestCa {
  readonly material: OrganisationMaterial;
  readonly registrar: { enrollmentId: string; enrollmentSecret: string };
  /** Lists handed to the membership checks so far. */
  readonly lists: string[];
  readonly url: () => string;
  readonly client: () => FabricCAServices;
  /** Enrols by secret with a key that the client draws. */
  readonly enroll: (id: string, secret: string) => Promise<User>;
  readonly admin: () => Promise<User>;
  readonly restart: (changes?: Partial<CaServerConfig>) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** The client's own cryptography, with keys in memory: its default writes them into the home of whoever runs the tests. */
function memoryCryptoSuite(): ICryptoSuite {
  // The method is missing in the client's own types.
  const suite = User.newCryptoSuite() as ICryptoSuite & { generateEphemeralKey(): ICryptoKey };
  suite.generateKey = () => Promise.resolve(suite.generateEphemeralKey());
  return suite;
}

export async function startTestCa(changes: Partial<CaServerConfig> = {}): Promise<TestCa> {
  const directory = await mkdtemp(join(tmpdir(), 'sev-ca-'));
  const material = await ensureMaterial(join(directory, 'crypto', 'grid'), 'grid', TEST_MSP);
  const registrar = { enrollmentId: 'admin', enrollmentSecret: newSecret() };
  const lists: string[] = [];
  const start = (more: Partial<CaServerConfig>): Promise<CaServer> =>
    startCaServer({
      name: 'ca-grid',
      identityCa: material.identityCa,
      tlsCa: material.tlsCa,
      serverTls: material.caTls,
      dataDir: join(directory, 'ca'),
      port: 0,
      registrar,
      enrollmentValidityMs: 3_600_000,
      onRevocationList: (crl) => {
        lists.push(crl);
        return Promise.resolve();
      },
      ...changes,
      ...more,
    });
  let server = await start({});
  const url = (): string => `https://localhost:${String(server.port)}`;
  const client = (): FabricCAServices =>
    new FabricCAServices(
      url(),
      { trustedRoots: [material.tlsCa.certificatePem], verify: true },
      'ca-grid',
      memoryCryptoSuite(),
    );
  const enroll = async (id: string, secret: string): Promise<User> => {
    const enrolled = await client().enroll({ enrollmentID: id, enrollmentSecret: secret });
    return User.createUser(id, '', TEST_MSP, enrolled.certificate, enrolled.key.toBytes());
  };
  return {
    material,
    registrar,
    lists,
    url,
    client,
    enroll,
    admin: () => enroll(registrar.enrollmentId, registrar.enrollmentSecret),
    restart: async (more = {}) => {
      await server.close();
      server = await start(more);
    },
    close: async () => {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The certificate of a user. */
export function certificateOf(user: User): x509.X509Certificate {
  return new x509.X509Certificate((user.getIdentity() as unknown as { _certificate: string })._certificate);
}

/** The attributes in a certificate, as chaincode reads them. */
export function attributesOf(certificate: x509.X509Certificate): Record<string, string> {
  const extension = certificate.extensions.find(({ type }) => type === '1.2.3.4.5.6.7.8.1');
  const document = extension === undefined ? '{"attrs":{}}' : Buffer.from(extension.value).toString('utf8');
  return (JSON.parse(document) as { attrs: Record<string, string> }).attrs;
}

/** The codes with which Fabric CA's envelope refuses a call. */
export async function refusal(call: Promise<unknown>): Promise<{ code: number; message: string }> {
  try {
    await call;
  } catch (error) {
    const [first] = (error as { errors?: { code: number; message: string }[] }).errors ?? [];
    if (first !== undefined) {
      return first;
    }
    throw error;
  }
  throw new Error('the call was not refused');
}
