// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { common } from '@hyperledger/fabric-protos';
import { blockHeaderHash, required } from '../embedded/protocol/block.js';
import { NetworkError } from '../errors.js';
import { registrarPath, type NetworkPaths } from '../supervisor/paths.js';
import type { ConnectionProfile } from '../supervisor/profile.js';
import { ensureRegistrar } from '../supervisor/registrar.js';
import type { RunningNetwork, StartContext } from '../supervisor/running.js';
import type { NetworkState } from '../supervisor/state.js';
import type { Topology } from '../topology/schema.js';
import { endorsersOf, organisationAdmin, type OrganisationAdmin } from './admin.js';
import { ensureCaConfiguration } from './ca-config.js';
import { installedChaincodes, prepareChaincode } from './chaincode-deployment.js';
import { packageChaincode } from './chaincode-package.js';
import { channelHeight, joinOrderer, joinPeer } from './channel.js';
import { ensureNodeIdentities, mspConfiguration } from './enrolment.js';
import { awaitGateway } from './gateway-probe.js';
import { composeGenesis, genesisFile } from './genesis.js';
import { caNameOf, mspFiles, organisationLayout, type Member } from './layout.js';
import { approveDefinition, commitDefinition, committedDefinition, installPackage } from './lifecycle.js';
import { NodeProcess, settleAll, startAll, stopAll, type NodeSpecification } from './node-process.js';
import { caNode, chaincodeNode, ordererNode, peerNode } from './nodes.js';
import { writeOrdererConfiguration } from './orderer-config.js';
import { writePeerConfiguration } from './peer-config.js';
import { findPrograms, type FabricPrograms } from './programs.js';
import { publicPartOf, type PublicPart } from './public-part.js';

/** The organisations whose nodes run from this home. */
export function membersOf(paths: NetworkPaths, topology: Topology, state: NetworkState): Member[] {
  const names = state.members ?? topology.organisations.map(({ name }) => name);
  return topology.organisations
    .filter(({ name }) => names.includes(name))
    .map((organisation) => {
      const ports = state.portPlan.ports[organisation.name];
      if (ports === undefined) {
        throw new NetworkError('STATE_FOREIGN', `${paths.stateFile} has no ports for "${organisation.name}"`);
      }
      return { organisation, ports, layout: organisationLayout(paths.state, organisation.name) };
    });
}

/** Where a home keeps the channel's genesis block and what it was made of. */
export const channelFolder = (paths: NetworkPaths): string => join(paths.state, 'channel');

/** Refuses ledgers whose keys are gone: new keys would not fit them. */
function checkKeysFit({ layout, organisation }: Member): void {
  for (const node of [layout.peer, layout.orderer]) {
    if (existsSync(node.data) && !existsSync(mspFiles(node.msp).certificate)) {
      throw new NetworkError(
        'STATE_FOREIGN',
        `${node.data} has a ledger but ${organisation.name} lacks the keys it was made with; restore them, or delete both with clean`,
      );
    }
  }
}

/** Starts processes in a home and keeps them. */
class Nodes {
  readonly #context: StartContext;
  readonly #processes: NodeProcess[] = [];

  constructor(context: StartContext) {
    this.#context = context;
  }

  get all(): readonly NodeProcess[] {
    return this.#processes;
  }

  /** Starts those that do not run yet, side by side; they stop side by side too, after everything that is started later. */
  async start(specifications: readonly NodeSpecification[]): Promise<void> {
    const known = new Set(this.#processes.map(({ specification }) => specification.name));
    const processes = specifications
      .filter(({ name }) => !known.has(name))
      .map((specification) => new NodeProcess(specification, this.#context.log));
    this.#processes.push(...processes);
    this.#context.started.push(() => stopAll(processes));
    await startAll(processes);
  }
}

async function ensureGenesis(
  context: StartContext,
  programs: FabricPrograms,
  members: readonly Member[],
): Promise<string> {
  const { paths, topology } = context;
  const folder = channelFolder(paths);
  const file = genesisFile(folder);
  const hasEverybody = members.length === topology.organisations.length;
  if (!existsSync(file) && hasEverybody) {
    await context.onPhase('composing the channel');
    const parts = await Promise.all(members.map(publicPartOf));
    await composeGenesis(programs, folder, topology, parts, mspConfiguration());
  }
  return file;
}

function connectionProfile(topology: Topology, parts: readonly PublicPart[], genesis: Buffer): ConnectionProfile {
  const header = required(common.Block.deserializeBinary(genesis).getHeader(), 'block header');
  return {
    schemaVersion: 1,
    network: { kind: 'fabric', trust: 'consortium', name: topology.name },
    channel: topology.channel,
    chaincode: topology.chaincode.name,
    genesisHash: blockHeaderHash(header).toString('hex'),
    organisations: parts.map((part) => ({
      name: part.name,
      mspId: part.mspId,
      gateway: { address: `${part.peer.host}:${part.peer.port.toString()}`, tlsCaCert: part.tlsCaCert },
      ca: {
        url: `https://${part.ca.host}:${part.ca.port.toString()}`,
        caName: caNameOf(part),
        tlsCaCert: part.caServerRoot,
      },
      identityCaCert: part.identityCaCert,
    })),
  };
}

/** Installs, approves and commits the topology's chaincode where the channel has none yet; starts its processes. */
async function deployFirst(
  { topology, onPhase }: StartContext,
  nodes: Nodes,
  admins: readonly OrganisationAdmin[],
  endorsers: readonly string[],
): Promise<void> {
  const [first] = admins;
  if (first === undefined) {
    return;
  }
  const { channel, chaincode } = topology;
  const committed = await committedDefinition(first, { channel, name: chaincode.name });
  if (committed !== undefined) {
    return;
  }
  await onPhase('deploying the chaincode');
  const built = await packageChaincode(chaincode.path, chaincode.name, chaincode.version);
  const definition = { channel, name: chaincode.name, version: chaincode.version, sequence: 1 };
  await settleAll(
    admins.map(async (admin) => {
      const installed = await prepareChaincode(admin.member, chaincode, built);
      await Promise.all([
        nodes.start([chaincodeNode(admin.member, installed)]),
        installPackage(admin, built).then(() => approveDefinition(admin, definition, built.packageId)),
      ]);
    }),
  );
  await commitDefinition(first, definition, endorsers);
}

/**
 * Brings up the nodes of this home's organisations: CAs, identities, orderers, peers, chaincode; and, where all of the
 * consortium is here, the channel and the first chaincode on it. Every step looks first whether it is done, so that one
 * that was cut short is repaired by the next start.
 */
export async function runFabric(context: StartContext): Promise<RunningNetwork> {
  const { paths, topology, state, onPhase } = context;
  const programs = await findPrograms();
  const members = membersOf(paths, topology, state);
  members.forEach(checkKeysFit);
  const nodes = new Nodes(context);

  await onPhase(`starting ${members.length.toString()} certificate authorities`);
  for (const member of members) {
    const registrar = await ensureRegistrar(registrarPath(paths, member.organisation.name));
    await ensureCaConfiguration(member, registrar, topology.certificates.enrollmentValiditySeconds);
  }
  await nodes.start(members.map((member) => caNode(programs, member)));
  await onPhase('enrolling the nodes');
  await settleAll(members.map((member) => ensureNodeIdentities(member)));

  const genesis = await ensureGenesis(context, programs, members);
  await onPhase('starting orderers and peers');
  const withOrderer = members.filter(({ organisation }) => organisation.orderer !== undefined);
  await settleAll([...members.map(writePeerConfiguration), ...withOrderer.map(writeOrdererConfiguration)]);
  await nodes.start([
    ...withOrderer.map((member) => ordererNode(programs, member)),
    ...members.map((member) => peerNode(programs, member)),
  ]);
  for (const member of members) {
    await nodes.start((await installedChaincodes(member)).map((installed) => chaincodeNode(member, installed)));
  }

  const parts = await Promise.all(members.map(publicPartOf));
  const tlsRootOf = (part: PublicPart): string => mspFiles(organisationLayout(paths.state, part.name).channelMsp).tlsCa;
  const ordererPart = parts.find(({ orderer }) => orderer !== undefined);
  const orderer =
    ordererPart?.orderer === undefined
      ? undefined
      : {
          address: `${ordererPart.orderer.host}:${ordererPart.orderer.port.toString()}`,
          tlsRootFile: tlsRootOf(ordererPart),
        };
  const admins = members.map((member) => organisationAdmin(programs, member, orderer));
  await onPhase(`joining channel ${topology.channel}`);
  await settleAll(
    admins.map((admin) =>
      Promise.all([
        ...(admin.member.organisation.orderer === undefined ? [] : [joinOrderer(admin, topology.channel, genesis)]),
        joinPeer(admin, genesis),
      ]),
    ),
  );
  await deployFirst(context, nodes, admins, endorsersOf(parts, tlsRootOf));
  await onPhase('waiting until every gateway reaches a majority');
  await settleAll(members.map((member) => awaitGateway(member, topology.channel, topology.chaincode.name)));

  const profile = connectionProfile(topology, parts, await readFile(genesis));
  return {
    profile,
    live: async () => {
      const statuses = nodes.all.map((node) => node.status());
      const height = await channelHeight(members[0]?.ports.peerOperations ?? 0, topology.channel);
      return {
        height: height ?? 0,
        genesisHash: profile.genesisHash,
        chaincode: statuses
          .filter(({ kind }) => kind === 'chaincode')
          .map(({ organisation, pid, running }) => ({
            mspId: members.find((member) => member.organisation.name === organisation)?.organisation.mspId ?? '',
            running,
            ...(pid === undefined ? {} : { pid }),
          })),
        nodes: statuses.map(({ pid, ...status }) => ({ ...status, ...(pid === undefined ? {} : { pid }) })),
      };
    },
  };
}
