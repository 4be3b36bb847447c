// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { OrganisationPorts } from '../topology/ports.js';
import type { OrganisationTopology } from '../topology/schema.js';

/** Where an organisation of a native network keeps its files; the only place that builds these paths. */
export interface OrganisationLayout {
  readonly root: string;
  /** Home of its CA server: identity CA here, TLS CA beside it. */
  readonly ca: string;
  readonly tlsCa: string;
  readonly caDatabase: string;
  /** Public: roots and NodeOU rules, as they go into the channel configuration. */
  readonly channelMsp: string;
  /** Identity that administers the organisation's nodes and signs for it in the channel configuration. */
  readonly adminMsp: string;
  readonly peer: NodeLayout;
  readonly orderer: NodeLayout;
  /** One folder a chaincode package: connection, TLS keys. */
  readonly chaincode: string;
  readonly logs: string;
  readonly pids: string;
}

/** Where a peer or an orderer keeps its files. */
export interface NodeLayout {
  /** Also holds the rendered configuration: it is the node's FABRIC_CFG_PATH. */
  readonly root: string;
  readonly msp: string;
  readonly tls: string;
  readonly data: string;
}

function nodeLayout(root: string): NodeLayout {
  return { root, msp: join(root, 'msp'), tls: join(root, 'tls'), data: join(root, 'data') };
}

/** Files of a TLS folder. */
export const tlsFiles = (directory: string): { key: string; certificate: string; ca: string } => ({
  key: join(directory, 'server.key'),
  certificate: join(directory, 'server.crt'),
  ca: join(directory, 'ca.crt'),
});

/** Files of an MSP folder with one identity. */
export const mspFiles = (directory: string): { key: string; certificate: string; ca: string; tlsCa: string } => ({
  key: join(directory, 'keystore', 'key.pem'),
  certificate: join(directory, 'signcerts', 'cert.pem'),
  ca: join(directory, 'cacerts', 'ca.pem'),
  tlsCa: join(directory, 'tlscacerts', 'tlsca.pem'),
});

export function organisationLayout(state: string, organisation: string): OrganisationLayout {
  const root = join(state, 'organisations', organisation);
  return {
    root,
    ca: join(root, 'ca'),
    tlsCa: join(root, 'tlsca'),
    caDatabase: join(root, 'ca-database'),
    channelMsp: join(root, 'msp'),
    adminMsp: join(root, 'admin'),
    peer: nodeLayout(join(root, 'peer')),
    orderer: nodeLayout(join(root, 'orderer')),
    chaincode: join(root, 'chaincode'),
    logs: join(root, 'logs'),
    pids: join(root, 'pids'),
  };
}

/** An organisation whose nodes run from this home. */
export interface Member {
  readonly organisation: OrganisationTopology;
  readonly ports: OrganisationPorts;
  readonly layout: OrganisationLayout;
}

/** The name by which programs on an organisation's own machine reach what listens on its address. */
export const ownHost = ({ host, listen }: Pick<OrganisationTopology, 'host' | 'listen'>): string =>
  ['127.0.0.1', '0.0.0.0'].includes(listen) ? 'localhost' : host;

export const caNameOf = (organisation: { readonly name: string }): string => `ca-${organisation.name}`;
export const tlsCaNameOf = (organisation: { readonly name: string }): string => `tlsca-${organisation.name}`;
