// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

const YEAR_SECONDS = 31_536_000;

/** 0 is left out: a topology names its ports; free ones are asked for by SEV_PORT_OFFSET=ephemeral. */
const port = z.int().min(1).max(65_535);

const host = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, 'must be a host name or an IPv4 address');

const orderer = z.strictObject({ port, admin: port, operations: port });

const organisation = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and "-", 32 at the most'),
  mspId: z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/, 'must be letters and digits, 64 at the most'),
  /** Where others reach its nodes. */
  host: host.default('localhost'),
  /** Address that its nodes listen on; operations, administration and chaincode always stay on loopback. */
  listen: z.ipv4('must be an IPv4 address').default('127.0.0.1'),
  ports: z.strictObject({
    gateway: port,
    ca: port,
    chaincode: port,
    /** Operations endpoints (health, metrics) of peer and CA on a native network. */
    peerOperations: port.optional(),
    caOperations: port.optional(),
  }),
  /** Its orderer on a native network; an organisation may have none. */
  orderer: orderer.optional(),
});

const ordering = z.strictObject({
  /** Native networks: SmartBFT, or Raft. */
  consensus: z.enum(['bft', 'raft']).default('bft'),
  /** Native networks: a block is cut so long after its first transaction. */
  blockIntervalMs: z.int().min(10).max(60_000).default(200),
  /** Embedded network: the same. */
  batchTimeoutMs: z.int().min(1).max(60_000).default(20),
  maxMessageCount: z.int().min(1).max(100_000).default(500),
  preferredMaxBytes: z.int().min(1_024).max(52_428_800).default(2_097_152),
  cutWhenIdle: z.boolean().default(false),
});

const certificates = z.strictObject({
  enrollmentValiditySeconds: z
    .int()
    .min(1)
    .max(10 * YEAR_SECONDS)
    .default(YEAR_SECONDS),
});

/** Reports the later of two organisations that share what must be unique. */
function refuseDuplicates(organisations: readonly z.infer<typeof organisation>[], context: z.RefinementCtx): void {
  const seen = new Map<string, string>();
  const claim = (key: string, what: string, owner: string, path: (string | number)[]): void => {
    const first = seen.get(key);
    if (first !== undefined) {
      context.addIssue({ code: 'custom', path, message: `${what} is already used by ${first}` });
    }
    seen.set(key, first ?? owner);
  };
  for (const [index, { name, mspId, host: hostName, ports, orderer: node }] of organisations.entries()) {
    claim(`name ${name}`, `the name "${name}"`, `another organisation`, [index, 'name']);
    claim(`msp ${mspId}`, `the MSP id "${mspId}"`, `organisation "${name}"`, [index, 'mspId']);
    const claimPorts = (numbers: Readonly<Record<string, number | undefined>>, group: string): void => {
      for (const [kind, number] of Object.entries(numbers)) {
        if (number !== undefined) {
          const what = `port ${number.toString()}`;
          const owner = `${group === 'orderer' ? 'orderer ' : ''}${kind} of organisation "${name}"`;
          claim(`${what} on ${hostName}`, what, owner, [index, group, kind]);
        }
      }
    };
    claimPorts(ports, 'ports');
    claimPorts(node ?? {}, 'orderer');
  }
}

/** What a topology file holds. Unknown fields are refused: they are misspelt ones. */
export const topologySchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and "-", 32 at the most'),
  channel: z
    .string()
    .regex(/^[a-z][a-z0-9.-]{0,248}$/, 'must be a channel name: lower-case letters, digits, "." and "-"'),
  organisations: z.array(organisation).min(1).superRefine(refuseDuplicates),
  chaincode: z.strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$/, 'must be a chaincode name: letters, digits, "-" and "_"'),
    version: z.string().min(1),
    path: z.string().min(1),
  }),
  ordering: ordering.prefault({}),
  certificates: certificates.prefault({}),
});

/** SmartBFT orders with 3f + 1 nodes: fewer than four tolerate no fault. */
const MIN_BFT_ORDERERS = 4;

/** What a native network needs besides. */
export const nativeTopologySchema = topologySchema.superRefine((topology, context) => {
  const {
    organisations,
    ordering: { consensus },
  } = topology;
  for (const [index, { name, ports }] of organisations.entries()) {
    for (const kind of ['peerOperations', 'caOperations'] as const) {
      if (ports[kind] === undefined) {
        const message = `is missing: organisation "${name}" needs it on a native network`;
        context.addIssue({ code: 'custom', path: ['organisations', index, 'ports', kind], message });
      }
    }
  }
  const orderers = organisations.filter((member) => member.orderer !== undefined).length;
  const least = consensus === 'bft' ? MIN_BFT_ORDERERS : 1;
  if (orderers < least) {
    const message =
      `${consensus} needs at least ${least.toString()} organisations with an orderer, and there are ${orderers.toString()}` +
      (consensus === 'bft' ? '; add orderers, or set `ordering.consensus: raft`' : '');
    context.addIssue({ code: 'custom', path: ['ordering', 'consensus'], message });
  }
});

/** A consortium's network: organisations, ports, chaincode, ordering. */
export type Topology = Readonly<z.infer<typeof topologySchema>> & {
  /** Absolute path of the file it was read from. */
  readonly file: string;
};

export type OrganisationTopology = Topology['organisations'][number];
