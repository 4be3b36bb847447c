// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, webcrypto } from 'node:crypto';
import { join } from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { writeFileAtomic } from '../../durable.js';
import type { OrganisationTopology, Topology } from '../../topology/schema.js';
import { mspFiles, organisationLayout, tlsFiles, type Member } from '../layout.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { ...P256, hash: 'SHA-256' } as const;
type Keys = webcrypto.CryptoKeyPair;

const newKeys = (): Promise<Keys> => webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);

async function pemOf({ privateKey }: Keys): Promise<string> {
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A CA as Fabric's: what it issues carries the kind of identity as its organisational unit. */
export class TestCa {
  private constructor(
    readonly root: x509.X509Certificate,
    readonly keys: Keys,
  ) {}

  static async create(name: string): Promise<TestCa> {
    const keys = await newKeys();
    const extensions = [new x509.BasicConstraintsExtension(true, 0, true)];
    const options = { name: `CN=${name}`, keys, signingAlgorithm: SIGNING, extensions };
    return new TestCa(await x509.X509CertificateGenerator.createSelfSigned(options), keys);
  }

  async issue(unit: string, hosts: readonly string[] = []): Promise<{ key: string; certificate: string }> {
    const keys = await newKeys();
    const names = hosts.map((value) => ({ type: 'dns', value }) as const);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${unit}, OU=${unit}`,
      issuer: this.root.subject,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: SIGNING,
      extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)],
    });
    return { key: await pemOf(keys), certificate: certificate.toString('pem') };
  }
}

/** An organisation's home with everything enrolled that its public part is made of. */
export async function enrolledMember(
  directory: string,
  organisation: OrganisationTopology,
): Promise<Member & { readonly identityCa: TestCa; readonly tlsCa: TestCa }> {
  const layout = organisationLayout(directory, organisation.name);
  const [identityCa, tlsCa] = await Promise.all([
    TestCa.create(`ca-${organisation.name}`),
    TestCa.create(`tlsca-${organisation.name}`),
  ]);
  const write = async (files: { key: string; certificate: string }, pair: { key: string; certificate: string }) => {
    await writeFileAtomic(files.key, pair.key);
    await writeFileAtomic(files.certificate, pair.certificate);
  };
  const msp = mspFiles(layout.channelMsp);
  await writeFileAtomic(msp.ca, identityCa.root.toString('pem'));
  await writeFileAtomic(msp.tlsCa, tlsCa.root.toString('pem'));
  await write(mspFiles(layout.adminMsp), await identityCa.issue('admin'));
  await write(mspFiles(layout.orderer.msp), await identityCa.issue('orderer'));
  await write(tlsFiles(layout.orderer.tls), await tlsCa.issue('orderer', [organisation.host]));
  const { gateway, ca, chaincode } = organisation.ports;
  const ports = { gateway, ca, chaincode, orderer: organisation.orderer?.port };
  return { organisation, layout, ports, identityCa, tlsCa };
}

/** A topology of organisations on one host, ten ports each. */
export function testTopology(directory: string, names: readonly string[]): Topology {
  const organisations = names.map((name, index): OrganisationTopology => {
    const port = 7050 + index * 10;
    return {
      name,
      mspId: `${name.charAt(0).toUpperCase()}${name.slice(1)}MSP`,
      host: 'localhost',
      listen: '127.0.0.1',
      ports: { gateway: port + 1, ca: port + 2, chaincode: port + 3 },
      orderer: { port, admin: port + 4, operations: port + 5 },
    };
  });
  return { file: join(directory, 'consortium.yaml'), organisations } as unknown as Topology;
}
