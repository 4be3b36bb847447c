// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { NetworkError } from '../errors.js';
import { registrarPath } from '../supervisor/paths.js';
import { loadConnectionProfile } from '../supervisor/profile.js';
import { ensureRegistrar } from '../supervisor/registrar.js';
import type { RunningNetwork, StartContext } from '../supervisor/running.js';
import { endorsersOf, organisationAdmin, type OrganisationAdmin } from './admin.js';
import { ensureCaConfiguration } from './ca-config.js';
import { installedChaincodes, prepareChaincode } from './chaincode-deployment.js';
import { packageChaincode } from './chaincode-package.js';
import { channelFiles, channelFolder } from './channel-folder.js';
import { channelHeight, joinOrderer, joinPeer } from './channel.js';
import { connectionProfile } from './connection-profile.js';
import { ensureNodeIdentities, isEnrolled, loadCaClient, mspConfiguration } from './enrolment.js';
import { awaitGateway } from './gateway-probe.js';
import { composeGenesis, genesisFile } from './genesis.js';
import { membersOf, ownOrderer } from './home.js';
import { mspFiles, organisationLayout, type Member } from './layout.js';
import { approveDefinition, commitDefinition, committedDefinition, installPackage } from './lifecycle.js';
import { settleAll, type NodeSpecification } from './node-process.js';
import { NodeSet } from './node-set.js';
import { writeScrapeFile } from './monitoring.js';
import { caNode, chaincodeNode, ordererNode, peerNode } from './nodes.js';
import { writeOrdererConfiguration } from './orderer-config.js';
import { writePeerConfiguration } from './peer-config.js';
import { findPrograms, type FabricPrograms } from './programs.js';
import { publicPartOf, type PublicPart } from './public-part.js';

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

/** Where the channel comes from: the genesis block, or the newest configuration block of one that was running before. */
interface ChannelBlocks {
  readonly genesis: string;
  readonly forOrderers: string;
}

/** An organisation by itself has accepted the channel's beginning before its nodes start. @throws NetworkError CHANNEL_MISSING */
function checkAccepted({ paths, state }: StartContext): void {
  if (state.members !== undefined && !existsSync(genesisFile(channelFolder(paths)))) {
    throw new NetworkError(
      'CHANNEL_MISSING',
      `${state.members.join(', ')} is in no channel yet; accept a bundle first: \`network org accept\``,
    );
  }
}

async function ensureGenesis(
  context: StartContext,
  programs: FabricPrograms,
  members: readonly Member[],
): Promise<ChannelBlocks> {
  const { paths, topology, state } = context;
  const { genesis, config } = channelFiles(channelFolder(paths));
  if (!existsSync(genesis) && state.members === undefined) {
    await context.onPhase('composing the channel');
    const parts = await Promise.all(members.map(publicPartOf));
    await composeGenesis(programs, channelFolder(paths), topology, parts, mspConfiguration());
  }
  return { genesis, forOrderers: existsSync(config) ? config : genesis };
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

/** Starts the chaincode processes; on a channel of this home's own also those of the package that it will deploy first. */
async function startChaincodes(
  { topology, state }: StartContext,
  nodes: NodeSet,
  members: readonly Member[],
): Promise<void> {
  const { name, version, path } = topology.chaincode;
  const installed = (await Promise.all(members.map(installedChaincodes))).flat();
  if (state.members === undefined && !installed.some((chaincode) => chaincode.name === name)) {
    const built = await packageChaincode(path, name, version);
    await settleAll(members.map((member) => prepareChaincode(member, topology.chaincode, built)));
  }
  await nodes.replace('chaincode', await chaincodeNodes(members));
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
 * Brings up the nodes of this home's organisations (CAs, identities, orderers, peers, chaincode) and joins them to the
 * channel; where all of the consortium is here, it makes the channel and deploys the first chaincode. Every step looks
 * first whether it is done, so that one that was cut short is repaired by the next start.
 */
export async function runFabric(context: StartContext): Promise<RunningNetwork> {
  const { paths, topology, state, onPhase } = context;
  const programs = await findPrograms();
  const members = membersOf(paths, topology, state);
  checkAccepted(context);
  members.forEach(checkKeysFit);
  await writeScrapeFile(paths, members, topology);
  const nodes = new NodeSet(context.log);
  context.started.push(() => nodes.stop());

  await onPhase(`starting ${members.length.toString()} certificate authorities`);
  for (const member of members) {
    const registrar = await ensureRegistrar(registrarPath(paths, member.organisation.name));
    await ensureCaConfiguration(member, registrar, topology.certificates.enrollmentValiditySeconds);
  }
  await settleAll([
    nodes.start(members.map((member) => caNode(programs, member))),
    ...(members.every(isEnrolled) ? [] : [loadCaClient()]),
  ]);
  await onPhase('enrolling the nodes');
  await settleAll(members.map((member) => ensureNodeIdentities(member)));

  const blocks = await ensureGenesis(context, programs, members);
  await onPhase('starting orderers and peers');
  const withOrderer = members.filter(({ organisation }) => organisation.orderer !== undefined);
  await settleAll([...members.map(writePeerConfiguration), ...withOrderer.map(writeOrdererConfiguration)]);
  const chaincodes = startChaincodes(context, nodes, members);
  // Waited for below, with the joining of the channel; until then a failure must not count as one that nobody handles.
  chaincodes.catch(() => undefined);
  await nodes.start([
    ...withOrderer.map((member) => ordererNode(programs, member)),
    ...members.map((member) => peerNode(programs, member)),
  ]);

  const parts = await Promise.all(members.map(publicPartOf));
  const tlsRootOf = (part: PublicPart): string => mspFiles(organisationLayout(paths.state, part.name).channelMsp).tlsCa;
  const orderer = ownOrderer(members);
  const admins = members.map((member) => organisationAdmin(programs, member, orderer));
  await onPhase(`joining channel ${topology.channel}`);
  await settleAll([
    chaincodes,
    ...admins.map((admin) => joinPeer(admin, blocks.genesis)),
    ...admins
      .filter(({ member }) => member.organisation.orderer !== undefined)
      .map((admin) => joinOrderer(admin, topology.channel, blocks.forOrderers)),
  ]);
  // An organisation by itself knows the others by the profile that came with the bundle it accepted.
  const profile =
    state.members === undefined
      ? connectionProfile(topology, parts, await readFile(blocks.genesis), 'single-operator')
      : await loadConnectionProfile(paths.profile);
  if (state.members === undefined) {
    await deployFirst(context, nodes, admins, endorsersOf(parts, tlsRootOf));
    await onPhase('waiting until every gateway reaches a majority');
    await settleAll(members.map((member) => awaitGateway(member, topology.channel, topology.chaincode.name)));
  }

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
      } else if (request.action === 'stop') {
        await nodes.stopSome(request.nodes);
      } else {
        await nodes.replace('chaincode', await chaincodeNodes(members));
      }
    },
  };
}
