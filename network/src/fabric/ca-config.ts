// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { newSecret } from '../embedded/ca/secrets.js';
import type { Registrar } from '../supervisor/registrar.js';
import { caNameOf, tlsCaNameOf, type Member } from './layout.js';

/** A CA server's configuration, in its home. */
export const CA_CONFIGURATION = 'fabric-ca-server-config.yaml';
/** What the nodes' certificates and the roots hold for. */
const NODE_VALIDITY = '17520h';
const ROOT_VALIDITY = '131400h';
/** Fabric's channel configuration takes a revocation list for as long as it stands there; this is for other readers. */
const CRL_VALIDITY = '8760h';

/** Identities that an organisation's nodes enrol with: known to the CA from its first start. */
export const NODE_IDENTITIES = { peer: 'peer', orderer: 'orderer', 'org-admin': 'admin' } as const;
export type NodeIdentity = keyof typeof NODE_IDENTITIES;

const secrets = z.object({
  registry: z.object({ identities: z.array(z.object({ name: z.string(), pass: z.string() })) }),
});

/** What an enrolment of a node's identity is asked with. */
export interface NodeSecret {
  readonly enrollmentId: string;
  readonly enrollmentSecret: string;
}

function caDocument(
  member: Member,
  name: string,
  registrar: Registrar,
  nodes: readonly { name: string; pass: string; type: string }[],
  validitySeconds: number,
): Record<string, unknown> {
  const expiry = `${Math.ceil(validitySeconds / 60).toString()}m`;
  return {
    ca: { name },
    crl: { expiry: CRL_VALIDITY },
    crlsizelimit: 50_000_000,
    registry: {
      maxenrollments: -1,
      identities: [
        {
          name: registrar.enrollmentId,
          pass: registrar.enrollmentSecret,
          type: 'client',
          affiliation: '',
          attrs: {
            'hf.Registrar.Roles': 'client,peer,orderer,admin',
            'hf.Registrar.DelegateRoles': 'client,peer,orderer,admin',
            'hf.Registrar.Attributes': '*',
            'hf.Revoker': true,
            'hf.GenCRL': true,
          },
        },
        ...nodes.map((node) => ({ ...node, affiliation: '', attrs: {} })),
      ],
    },
    db: { type: 'sqlite3', datasource: join(member.layout.caDatabase, 'ca.db') },
    affiliations: {},
    signing: {
      default: { usage: ['digital signature'], expiry },
      profiles: {
        tls: {
          usage: ['signing', 'key encipherment', 'server auth', 'client auth', 'key agreement'],
          expiry: NODE_VALIDITY,
        },
      },
    },
    csr: {
      cn: name,
      keyrequest: { algo: 'ecdsa', size: 256 },
      names: [{ O: member.organisation.mspId }],
      hosts: [member.organisation.host, 'localhost', '127.0.0.1'],
      ca: { expiry: ROOT_VALIDITY, pathlength: 0 },
    },
    cfg: { identities: { passwordattempts: 10 } },
  };
}

/**
 * Writes the configuration of an organisation's CA server (identity CA and TLS CA in one process, one register of
 * identities for both) where there is none. It holds secrets: its files are for the owner only.
 */
export async function ensureCaConfiguration(
  member: Member,
  registrar: Registrar,
  enrollmentValiditySeconds: number,
): Promise<void> {
  const { ca, tlsCa, caDatabase } = member.layout;
  if (existsSync(join(ca, CA_CONFIGURATION))) {
    return;
  }
  for (const directory of [ca, tlsCa, caDatabase]) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  }
  const nodes = Object.entries(NODE_IDENTITIES).map(([name, type]) => ({ name, pass: newSecret(), type }));
  const document = (name: string) => caDocument(member, name, registrar, nodes, enrollmentValiditySeconds);
  await writeFileAtomic(join(tlsCa, CA_CONFIGURATION), stringify(document(tlsCaNameOf(member.organisation))), 0o600);
  const server = {
    ...document(caNameOf(member.organisation)),
    address: member.organisation.listen,
    port: member.ports.ca,
    debug: false,
    tls: { enabled: true },
    cafiles: [join(tlsCa, CA_CONFIGURATION)],
    operations: { listenAddress: `127.0.0.1:${(member.ports.caOperations ?? 0).toString()}`, tls: { enabled: false } },
    metrics: { provider: 'prometheus' },
  };
  await writeFileAtomic(join(ca, CA_CONFIGURATION), stringify(server), 0o600);
}

/** The secret that a node's identity enrols with, from the CA's own configuration. */
export async function nodeSecret(member: Member, identity: NodeIdentity): Promise<NodeSecret> {
  const file = join(member.layout.ca, CA_CONFIGURATION);
  const { registry } = secrets.parse(parse(await readFile(file, 'utf8')));
  const found = registry.identities.find(({ name }) => name === identity);
  if (found === undefined) {
    throw new Error(`${file} has no identity "${identity}"`);
  }
  return { enrollmentId: found.name, enrollmentSecret: found.pass };
}
