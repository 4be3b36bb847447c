// SPDX-License-Identifier: Apache-2.0
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../durable.js';
import type { Topology } from '../topology/schema.js';
import { runProgram } from './run-program.js';
import type { FabricPrograms } from './programs.js';
import type { PublicPart } from './public-part.js';

const PROFILE = 'Channel';
const ABSOLUTE_MAX_BYTES = '10 MB';

/**
 * SmartBFT's timeouts. A dead leader is noticed by a forwarded request that nobody orders (complain), or by its missing
 * heartbeat; with the usual minutes clients would wait that long. `docs/fabric.md` has what was measured.
 */
const SMART_BFT = {
  RequestForwardTimeout: '1s',
  RequestComplainTimeout: '4s',
  RequestAutoRemoveTimeout: '3m0s',
  ViewChangeResendInterval: '2s',
  ViewChangeTimeout: '5s',
  LeaderHeartbeatTimeout: '5s',
  LeaderHeartbeatCount: 10,
  CollectTimeout: '1s',
  IncomingMessageBufferSize: 200,
  RequestPoolSize: 100_000,
} as const;

const implicitMeta = (rule: string) => ({ Type: 'ImplicitMeta', Rule: rule });
const META_POLICIES = {
  Readers: implicitMeta('ANY Readers'),
  Writers: implicitMeta('ANY Writers'),
  Admins: implicitMeta('MAJORITY Admins'),
};

/** Who of an organisation may do what. Orderers write too: the signature on a block is checked as a writer's. */
export function organisationPolicies(mspId: string): Record<string, { Type: string; Rule: string }> {
  const anyOf = (...roles: string[]) => ({
    Type: 'Signature',
    Rule: `OR(${roles.map((role) => `'${mspId}.${role}'`).join(', ')})`,
  });
  return {
    Readers: anyOf('client', 'peer', 'admin', 'orderer'),
    Writers: anyOf('client', 'admin', 'orderer'),
    Admins: anyOf('admin'),
    Endorsement: anyOf('peer'),
  };
}

/** Folder names within a composing folder. */
const mspFolder = (part: PublicPart): string => join('msp', part.name);
const certificateFile = (part: PublicPart, what: string): string => join('orderers', `${part.name}-${what}.pem`);

function organisationDocument(part: PublicPart): Record<string, unknown> {
  const { orderer, peer } = part;
  return {
    Name: part.mspId,
    ID: part.mspId,
    MSPDir: mspFolder(part),
    Policies: organisationPolicies(part.mspId),
    AnchorPeers: [{ Host: peer.host, Port: peer.port }],
    ...(orderer === undefined ? {} : { OrdererEndpoints: [`${orderer.host}:${orderer.port.toString()}`] }),
  };
}

type Orderer = NonNullable<PublicPart['orderer']>;

function consensusDocument(topology: Topology, parts: readonly PublicPart[]): Record<string, unknown> {
  const { consensus, blockIntervalMs } = topology.ordering;
  const interval = `${blockIntervalMs.toString()}ms`;
  const consenters = parts.flatMap((part) => (part.orderer === undefined ? [] : [{ part, orderer: part.orderer }]));
  const consenter = (part: PublicPart, orderer: Orderer) => ({
    Host: orderer.host,
    Port: orderer.port,
    ClientTLSCert: certificateFile(part, 'tls'),
    ServerTLSCert: certificateFile(part, 'tls'),
  });
  if (consensus === 'raft') {
    return {
      OrdererType: 'etcdraft',
      BatchTimeout: interval,
      EtcdRaft: {
        Consenters: consenters.map(({ part, orderer }) => consenter(part, orderer)),
        Options: {
          TickInterval: '100ms',
          ElectionTick: 20,
          HeartbeatTick: 1,
          MaxInflightBlocks: 5,
          SnapshotIntervalSize: '16 MB',
        },
      },
    };
  }
  return {
    OrdererType: 'BFT',
    BatchTimeout: interval,
    SmartBFT: { RequestBatchMaxInterval: interval, ...SMART_BFT },
    ConsenterMapping: consenters.map(({ part, orderer }, index) => ({
      ID: index + 1,
      MSPID: part.mspId,
      Identity: certificateFile(part, 'identity'),
      ...consenter(part, orderer),
    })),
  };
}

/** The channel's first configuration, as configtxgen takes it. */
export function channelDocument(topology: Topology, parts: readonly PublicPart[]): Record<string, unknown> {
  const { maxMessageCount, preferredMaxBytes } = topology.ordering;
  return {
    Profiles: {
      [PROFILE]: {
        Policies: META_POLICIES,
        Capabilities: { V3_0: true },
        Application: {
          Organizations: parts.map(organisationDocument),
          Policies: {
            ...META_POLICIES,
            Endorsement: implicitMeta('MAJORITY Endorsement'),
            LifecycleEndorsement: implicitMeta('MAJORITY Endorsement'),
          },
          Capabilities: { V2_5: true },
        },
        Orderer: {
          ...consensusDocument(topology, parts),
          // The channel's version insists on an endpoint for each organisation in this group.
          Organizations: parts.filter(({ orderer }) => orderer !== undefined).map(organisationDocument),
          Policies: { ...META_POLICIES, BlockValidation: implicitMeta('ANY Writers') },
          Capabilities: { V2_0: true },
          BatchSize: {
            MaxMessageCount: maxMessageCount,
            AbsoluteMaxBytes: ABSOLUTE_MAX_BYTES,
            PreferredMaxBytes: preferredMaxBytes,
          },
        },
      },
    },
  };
}

/** Writes the MSP folder and the orderer's certificates of an organisation into a composing folder. */
async function writePublicPart(folder: string, part: PublicPart, mspConfiguration: string): Promise<void> {
  const directory = join(folder, mspFolder(part));
  await writeFileAtomic(join(directory, 'cacerts', 'ca.pem'), part.identityCaCert);
  await writeFileAtomic(join(directory, 'tlscacerts', 'tlsca.pem'), part.tlsCaCert);
  await writeFileAtomic(join(directory, 'config.yaml'), mspConfiguration);
  if (part.orderer !== undefined) {
    await writeFileAtomic(join(folder, certificateFile(part, 'identity')), part.orderer.identityCert);
    await writeFileAtomic(join(folder, certificateFile(part, 'tls')), part.orderer.tlsCert);
  }
}

/**
 * Makes the channel's genesis block from the organisations' public parts. The folder keeps what it was made of,
 * readable: `configtx.yaml`, `msp/`, `orderers/`, `genesis.block`.
 * @throws NetworkError PROGRAM_FAILED
 */
export async function composeGenesis(
  programs: FabricPrograms,
  folder: string,
  topology: Topology,
  parts: readonly PublicPart[],
  mspConfiguration: string,
): Promise<Buffer> {
  await mkdir(folder, { recursive: true });
  for (const part of parts) {
    await writePublicPart(folder, part, mspConfiguration);
  }
  await writeFileAtomic(join(folder, 'configtx.yaml'), stringify(channelDocument(topology, parts)));
  const block = genesisFile(folder);
  const unfinished = `${block}.new`;
  await rm(unfinished, { force: true });
  await runProgram(
    programs.configtxgen,
    ['-configPath', folder, '-profile', PROFILE, '-channelID', topology.channel, '-outputBlock', unfinished],
    { cwd: folder },
  );
  await rename(unfinished, block);
  return readFile(block);
}

export const genesisFile = (folder: string): string => join(folder, 'genesis.block');
