// SPDX-License-Identifier: Apache-2.0
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CertificateAuthority, newKeyPair } from '../ca/authority.js';
import { newSigningIdentity } from '../msp/identity.js';
import { newMembershipVerifier } from '../msp/verifier.js';
import type { EmbeddedNetworkConfig, EmbeddedOrganisation, KeyPairPem, NodeOu } from '../types.js';

const VALIDITY_MS = 24 * 3_600_000;

/** Keys and certificates of one organisation, as plain data: they can be handed to another process. */
export interface OrganisationMaterial {
  readonly mspId: string;
  readonly identityCa: KeyPairPem;
  readonly tlsCa: KeyPairPem;
  readonly peer: KeyPairPem;
  readonly orderer: KeyPairPem;
  readonly tls: KeyPairPem;
  readonly client: KeyPairPem;
}

const CHAINCODE_PATH = resolve(fileURLToPath(new URL('../../../fixtures/testcc', import.meta.url)));

/** The chaincode that the tests run on. */
export const TEST_CHAINCODE = {
  name: 'testcc',
  version: '1.0',
  path: CHAINCODE_PATH,
  collections: join(CHAINCODE_PATH, 'collections.json'),
};

export const TEST_CHANNEL = 'testchannel';

/** How the process of a network ends that cannot commit any longer. */
export const EXIT_CODE_OF_FAILURE = 9;

/** Makes organisations with CAs of their own. */
export function newConsortium(mspIds: readonly string[]): Promise<OrganisationMaterial[]> {
  return Promise.all(
    mspIds.map(async (mspId) => {
      const identityCa = await CertificateAuthority.createRoot(mspId, `ca.${mspId}`);
      const tlsCa = await CertificateAuthority.createRoot(mspId, `tlsca.${mspId}`);
      return {
        mspId,
        identityCa,
        tlsCa,
        peer: await issueIdentity(identityCa, 'peer'),
        orderer: await issueIdentity(identityCa, 'orderer'),
        client: await issueIdentity(identityCa, 'client'),
        tls: await issueTls(tlsCa),
      };
    }),
  );
}

/** A key pair and the certificate that a CA gives it. */
export async function issueIdentity(ca: KeyPairPem, ou: NodeOu, validityMs = VALIDITY_MS): Promise<KeyPairPem> {
  const { privateKeyPem, publicKeySpki } = newKeyPair();
  const authority = await CertificateAuthority.open(ca);
  const { pem } = await authority.issue({
    commonName: `${ou}1`,
    organisationalUnits: [ou],
    publicKeySpki,
    validityMs,
  });
  return { certificatePem: pem, privateKeyPem };
}

/** What `startEmbeddedNetwork` needs, with ports of the system's choice. */
export function networkConfig(
  dataDir: string,
  consortium: readonly OrganisationMaterial[],
  overrides: Partial<EmbeddedNetworkConfig> = {},
): EmbeddedNetworkConfig {
  return {
    dataDir,
    channel: TEST_CHANNEL,
    organisations: consortium.map(organisation),
    msp: newMembershipVerifier(
      consortium.map(({ mspId, identityCa }) => ({
        mspId,
        identityCaCert: identityCa.certificatePem,
      })),
    ),
    ordering: {
      batchTimeoutMs: 20,
      maxMessageCount: 100,
      preferredMaxBytes: 2 * 1024 * 1024,
      cutWhenIdle: true,
    },
    chaincode: TEST_CHAINCODE,
    ...overrides,
  };
}

function organisation(material: OrganisationMaterial): EmbeddedOrganisation {
  return {
    name: material.mspId.toLowerCase(),
    mspId: material.mspId,
    peer: newSigningIdentity(material.mspId, material.peer),
    orderer: newSigningIdentity(material.mspId, material.orderer),
    identityCaCert: material.identityCa.certificatePem,
    tlsCaCert: material.tlsCa.certificatePem,
    gatewayTls: material.tls,
    gatewayPort: 0,
    chaincodeServerTls: material.tls,
    chaincodeClientTls: material.tls,
    chaincodePort: 0,
  };
}

async function issueTls(ca: KeyPairPem): Promise<KeyPairPem> {
  const { privateKeyPem, publicKeySpki } = newKeyPair();
  const authority = await CertificateAuthority.open(ca);
  const { pem } = await authority.issue({
    commonName: 'localhost',
    publicKeySpki,
    validityMs: VALIDITY_MS,
    hosts: ['localhost', '127.0.0.1'],
    tlsUses: ['server', 'client'],
  });
  return { certificatePem: pem, privateKeyPem };
}
