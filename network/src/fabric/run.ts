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
import type { Topology } from '../topology/schema.js';
import { endorsersOf, organisationAdmin, type OrganisationAdmin } from './admin.js';
import { ensureCaConfiguration } from './ca-config.js';
import { installedChaincodes, prepareChaincode } from './chaincode-deployment.js';
import { packageChaincode } from './chaincode-package.js';
import { channelHeight, joinOrderer, joinPeer } from './channel.js';
import { ensureNodeIdentities, mspConfiguration } from './enrolment.js';
import { awaitGateway } from './gateway-probe.js';
import { composeGenesis, genesisFile } from './genesis.js';
import { membersOf, ownOrderer } from './home.js';
import { caNameOf, mspFiles, organisationLayout, type Member } from './layout.js';
import { approveDefinition, commitDefinition, committedDefinition, installPackage } from './lifecycle.js';
import { settleAll, type NodeSpecification } from './node-process.js';
import { NodeSet } from './node-set.js';
import { caNode, chaincodeNode, ordererNode, peerNode } from './nodes.js';
import { writeOrdererConfiguration } from './orderer-config.js';
import { writePeerConfiguration } from './peer-config.js';
import { findPrograms, type FabricPrograms } from './programs.js';
import { publicPartOf, type PublicPart } from './public-part.js';

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

/** The chaincode processes that an organisation's deployed packages need. */
async function chaincodeNodes(members: readonly Member[]): Promise<NodeSpecification[]> {
  const lists = await Promise.all(
    members.map(async (member) =>
      (await installedChaincodes(member)).map((installed) => chaincodeNode(member, installed)),
    ),
  );
  return lists.flat();
}

/** Installs, approves and commits the topology's chaincode where the channel has none yet; starts its processes. */
async function deployFirst(
  { topology, onPhase }: StartContext,
  nodes: NodeSet,
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
  const nodes = new NodeSet(context.log);
  context.started.push(() => nodes.stop());

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
  await nodes.replace('chaincode', await chaincodeNodes(members));

  const parts = await Promise.all(members.map(publicPartOf));
  const tlsRootOf = (part: PublicPart): string => mspFiles(organisationLayout(paths.state, part.name).channelMsp).tlsCa;
  const orderer = ownOrderer(members);
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
      const statuses = nodes.status();
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
    control: async (request) => {
      if (request.action === 'restart') {
        await nodes.restart(request.nodes);
      } else {
        await nodes.replace('chaincode', await chaincodeNodes(members));
      }
    },
  };
}
