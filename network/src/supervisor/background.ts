// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../durable.js';
import { closeAll } from '../closing.js';
import { startCaServer } from '../embedded/ca/server.js';
import { newSigningIdentity } from '../embedded/msp/identity.js';
import { newMembershipVerifier } from '../embedded/msp/verifier.js';
import { startEmbeddedNetwork } from '../embedded/network.js';
import { ensureMaterial, type OrganisationMaterial } from '../embedded/tls/material.js';
import type { EmbeddedNetwork, EmbeddedNetworkConfig, EmbeddedOrganisation } from '../embedded/types.js';
import { NetworkError } from '../errors.js';
import { loadTopology } from '../topology/load.js';
import { checkPortsFree, type OrganisationPorts } from '../topology/ports.js';
import type { OrganisationTopology, Topology } from '../topology/schema.js';
import { writeProcess } from './handshake.js';
import { formatJson } from './json.js';
import { tryLock } from './lock.js';
import { registrarPath, type NetworkPaths } from './paths.js';
import { identifyProcess } from './process.js';
import type { ConnectionProfile } from './profile.js';
import { ensureRegistrar } from './registrar.js';
import { checkStateFits, readState } from './state.js';
import { startStatusServer } from './status-server.js';

type Log = NonNullable<EmbeddedNetworkConfig['log']>;

interface Member {
  readonly organisation: OrganisationTopology;
  readonly ports: OrganisationPorts;
  readonly material: OrganisationMaterial;
}

function embeddedOrganisation({ organisation, ports, material }: Member): EmbeddedOrganisation {
  const { name, mspId } = organisation;
  return {
    name,
    mspId,
    peer: newSigningIdentity(mspId, material.peer),
    orderer: newSigningIdentity(mspId, material.orderer),
    identityCaCert: material.identityCa.certificatePem,
    tlsCaCert: material.tlsCa.certificatePem,
    gatewayTls: material.gatewayTls,
    gatewayPort: ports.gateway,
    chaincodeServerTls: material.chaincodeServerTls,
    chaincodeClientTls: material.chaincodeClientTls,
    chaincodePort: ports.chaincode,
  };
}

const caNameOf = (organisation: OrganisationTopology): string => `ca-${organisation.name}`;

function connectionProfile(
  topology: Topology,
  members: readonly Member[],
  network: EmbeddedNetwork,
): ConnectionProfile {
  return {
    schemaVersion: 1,
    network: { kind: 'embedded', trust: 'single-operator', name: topology.name },
    channel: topology.channel,
    chaincode: topology.chaincode.name,
    genesisHash: network.genesisHash,
    organisations: members.map(({ organisation, ports, material }) => ({
      name: organisation.name,
      mspId: organisation.mspId,
      gateway: {
        address: `localhost:${(network.gatewayPorts.get(organisation.mspId) ?? ports.gateway).toString()}`,
        tlsCaCert: material.tlsCa.certificatePem,
      },
      ca: {
        url: `https://localhost:${ports.ca.toString()}`,
        caName: caNameOf(organisation),
        tlsCaCert: material.tlsCa.certificatePem,
      },
      identityCaCert: material.identityCa.certificatePem,
    })),
  };
}

/** Reads state and keys; makes the keys that are missing. */
async function openMembers(paths: NetworkPaths, topology: Topology): Promise<Member[]> {
  const state = await readState(paths);
  if (state === undefined) {
    throw new NetworkError('NETWORK_START_FAILED', `${paths.state} holds no network; bring it up with \`network up\``);
  }
  checkStateFits(paths, state, topology);
  await checkPortsFree(topology, state.portPlan);
  const members: Member[] = [];
  for (const organisation of topology.organisations) {
    const ports = state.portPlan.ports[organisation.name];
    if (ports === undefined) {
      throw new NetworkError('STATE_FOREIGN', `${paths.stateFile} has no ports for "${organisation.name}"`);
    }
    const material = await ensureMaterial(join(paths.crypto, organisation.name), organisation.name, organisation.mspId);
    members.push({ organisation, ports, material });
  }
  return members;
}

/**
 * Runs the whole embedded network in this process: CAs, gateways, chaincode. When it resolves, the network is ready and
 * has written what applications need.
 * @param onFailure told that nothing can be committed any longer
 * @returns what stops it, in order
 * @throws NetworkError and what the parts throw; everything that was started is stopped again
 */
export async function runNetwork(
  paths: NetworkPaths,
  topologyFile: string,
  log: Log,
  onFailure: (error: Error) => void,
): Promise<() => Promise<void>> {
  const started: (() => Promise<void>)[] = [];
  const stop = (): Promise<void> => closeAll(started.splice(0).reverse());
  const startedAtMs = Date.now();
  const self = identifyProcess(process.pid);
  const lock = await tryLock(paths.runLock);
  if (lock === undefined || self === undefined) {
    throw new NetworkError('ALREADY_RUNNING', `another process runs the network in ${paths.home}`);
  }
  started.push(() => lock.release());
  try {
    started.push(() => rm(paths.processFile, { force: true }));
    await writeProcess(paths, self);
    const topology = loadTopology(topologyFile);
    const members = await openMembers(paths, topology);
    const msp = newMembershipVerifier(
      members.map(({ organisation, material }) => ({
        mspId: organisation.mspId,
        identityCaCert: material.identityCa.certificatePem,
      })),
    );
    for (const { organisation, ports, material } of members) {
      const server = await startCaServer({
        name: caNameOf(organisation),
        identityCa: material.identityCa,
        tlsCa: material.tlsCa,
        serverTls: material.caTls,
        dataDir: join(paths.ca, organisation.name),
        port: ports.ca,
        registrar: await ensureRegistrar(registrarPath(paths, organisation.name)),
        enrollmentValidityMs: topology.certificates.enrollmentValiditySeconds * 1000,
        onRevocationList: (crl) => msp.setRevocationLists(organisation.mspId, [crl]),
        log,
      });
      started.push(() => server.close());
    }
    const { channel, ordering, chaincode } = topology;
    const network = await startEmbeddedNetwork({
      dataDir: paths.ledger,
      channel,
      organisations: members.map(embeddedOrganisation),
      msp,
      ordering,
      chaincode,
      onFailure,
      log,
    });
    started.push(() => network.close());
    const statusServer = await startStatusServer(() => ({
      height: network.height(),
      genesisHash: network.genesisHash,
      startedAtMs,
      chaincode: network.chaincodeStatus().map(({ mspId, pid, running }) => ({
        mspId,
        running,
        ...(pid === undefined ? {} : { pid }),
      })),
    }));
    started.push(() => statusServer.close());
    await writeFileAtomic(paths.profile, formatJson(connectionProfile(topology, members, network)));
    await writeProcess(paths, { ...self, status: statusServer.address });
    // From here on it stops in the reverse order, and first of all says that it is no longer ready.
    started.push(() => writeProcess(paths, self));
    return stop;
  } catch (error) {
    await stop().catch((reason: unknown) => {
      log('error', 'a part of the network did not stop', { error: String(reason) });
    });
    throw error;
  }
}
