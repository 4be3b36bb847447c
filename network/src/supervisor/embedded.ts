// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { startCaServer } from '../embedded/ca/server.js';
import { newSigningIdentity } from '../embedded/msp/identity.js';
import { newMembershipVerifier } from '../embedded/msp/verifier.js';
import { startEmbeddedNetwork } from '../embedded/network.js';
import { ensureMaterial, type OrganisationMaterial } from '../embedded/tls/material.js';
import type { EmbeddedNetwork, EmbeddedOrganisation } from '../embedded/types.js';
import { NetworkError } from '../errors.js';
import type { OrganisationPorts } from '../topology/ports.js';
import type { OrganisationTopology, Topology } from '../topology/schema.js';
import { registrarPath } from './paths.js';
import type { ConnectionProfile } from './profile.js';
import { ensureRegistrar } from './registrar.js';
import type { RunningNetwork, StartContext } from './running.js';

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

/** Reads the organisations' keys; makes those that are missing. */
async function openMembers({ paths, topology, state }: StartContext): Promise<Member[]> {
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

/** Runs the whole embedded network in this process: CAs, gateways, chaincode. */
export async function runEmbedded(context: StartContext): Promise<RunningNetwork> {
  const { paths, topology, log, onFailure, started } = context;
  const members = await openMembers(context);
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
  return {
    profile: connectionProfile(topology, members, network),
    live: () =>
      Promise.resolve({
        height: network.height(),
        genesisHash: network.genesisHash,
        chaincode: network.chaincodeStatus().map(({ mspId, pid, running }) => ({
          mspId,
          running,
          ...(pid === undefined ? {} : { pid }),
        })),
        nodes: [],
      }),
    control: ({ action }) =>
      Promise.reject(
        new NetworkError('NOT_SUPPORTED', `the embedded network cannot "${action}" while it runs; use down and up`),
      ),
  };
}
