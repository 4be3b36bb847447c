// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { NetworkError } from '../errors.js';
import {
  bftQuorum,
  consensusOf,
  consentersOf,
  withConsenterCertificates,
  withConsenters,
} from './config-consenters.js';
import { groupAt, valueAt, type ChannelConfig } from './config-document.js';
import type { PublicPart } from './public-part.js';

/** Bytes are base64 in these documents, certificates base64 of PEM. */
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const addressOf = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `${host}:${port.toString()}`;

const endpointsSchema = z.object({ addresses: z.array(z.string()) });
const mspSchema = z.object({
  config: z.object({ root_certs: z.array(z.string()), tls_root_certs: z.array(z.string()) }),
});

const ordererGroup = (config: ChannelConfig): ChannelConfig => groupAt(config, 'Orderer');
const isBft = (config: ChannelConfig): boolean => consensusOf(config) === 'BFT';

/** MSP ids of the organisations of a channel, sorted. */
export function organisationsOf(config: ChannelConfig): string[] {
  return Object.keys(groupAt(config, 'Application').groups ?? {}).sort();
}

/** The addresses of the channel's orderers, by MSP id. */
export function ordererEndpoints(config: ChannelConfig): { readonly mspId: string; readonly address: string }[] {
  const groups = Object.entries(ordererGroup(config).groups ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  return groups.flatMap(([mspId, group]) =>
    valueAt(group, 'Endpoints', endpointsSchema).addresses.map((address) => ({ mspId, address })),
  );
}

/** How many orderers have to answer so that the channel goes on. */
export function orderingQuorum(config: ChannelConfig): number {
  const count = consentersOf(config).length;
  return isBft(config) ? bftQuorum(count) : Math.floor(count / 2) + 1;
}

/** Puts an organisation into the channel, by its group in a configuration that was composed with it. */
export function addOrganisation(config: ChannelConfig, mspId: string, group: ChannelConfig): ChannelConfig {
  const application = groupAt(config, 'Application');
  if (application.groups?.[mspId] === undefined) {
    application.groups = { ...application.groups, [mspId]: group };
  }
  return config;
}

/**
 * Makes the orderer of an organisation in the channel a consenter. The organisation's group among the orderers' is made
 * of the one it has: an MSP must be the same in both.
 * @throws NetworkError ORGANISATION_UNKNOWN, PART_INVALID
 */
export function addConsenter(config: ChannelConfig, part: PublicPart): ChannelConfig {
  const { mspId, name, orderer } = part;
  const existing = groupAt(config, 'Application').groups?.[mspId];
  if (existing === undefined) {
    throw new NetworkError(
      'ORGANISATION_UNKNOWN',
      `${name} is not in the channel; add it first, its orderer afterwards`,
    );
  }
  if (orderer === undefined) {
    throw new NetworkError('PART_INVALID', `the public part of ${name} names no orderer`);
  }
  const group = ordererGroup(config);
  if (group.groups?.[mspId] !== undefined) {
    return config;
  }
  const { MSP: msp } = existing.values ?? {};
  if (msp === undefined) {
    throw new NetworkError('CONFIG_UNKNOWN', `the channel's configuration has no MSP of ${mspId}`);
  }
  group.groups = {
    ...group.groups,
    [mspId]: fresh({
      ...existing,
      values: {
        MSP: msp,
        Endpoints: { mod_policy: 'Admins', value: { addresses: [addressOf(orderer)] }, version: '0' },
      },
    }),
  };
  const { host, port, tlsCert, identityCert } = orderer;
  const consenters = consentersOf(config);
  const id = Math.max(0, ...consenters.map(({ bft }) => bft?.id ?? 0)) + 1;
  const consenter = { host, port, tlsCert, ...(isBft(config) ? { bft: { id, mspId, identityCert } } : {}) };
  return withConsenters(config, [...consenters, consenter]);
}

/** A copy of a group as a new one: everything in it of version 0. */
function fresh(group: ChannelConfig): ChannelConfig {
  return JSON.parse(
    JSON.stringify(group, (key, value: unknown) => (key === 'version' && typeof value === 'string' ? '0' : value)),
  ) as ChannelConfig;
}

/**
 * Gives the orderer of an organisation the certificates of its part.
 * @throws NetworkError PART_INVALID where the channel has no orderer of that organisation at that address
 */
export function rotateConsenter(config: ChannelConfig, part: PublicPart): ChannelConfig {
  const { mspId, name, orderer } = part;
  const isIts = (endpoint: { readonly mspId: string; readonly address: string }): boolean =>
    orderer !== undefined && endpoint.mspId === mspId && endpoint.address === addressOf(orderer);
  if (orderer === undefined || !ordererEndpoints(config).some(isIts)) {
    throw new NetworkError('PART_INVALID', `the channel has no orderer of ${name} where its public part names one`);
  }
  checkOrganisationRoots(config, part);
  return withConsenterCertificates(config, orderer, orderer);
}

/**
 * Takes an organisation out of the channel, its orderer out of the ordering.
 * @throws NetworkError ORGANISATION_CONFLICT where its orderer is the only one
 */
export function removeOrganisation(config: ChannelConfig, mspId: string): ChannelConfig {
  const endpoints = ordererEndpoints(config).filter((endpoint) => endpoint.mspId === mspId);
  const addresses = endpoints.map(({ address }) => address);
  const consenters = consentersOf(config);
  const others = consenters.filter(({ bft, ...place }) =>
    bft === undefined ? !addresses.includes(addressOf(place)) : bft.mspId !== mspId,
  );
  if (others.length === 0) {
    throw new NetworkError('ORGANISATION_CONFLICT', `the orderer of ${mspId} is the only one; add another first`);
  }
  for (const group of [groupAt(config, 'Application'), ordererGroup(config)]) {
    group.groups = Object.fromEntries(Object.entries(group.groups ?? {}).filter(([name]) => name !== mspId));
  }
  return others.length < consenters.length ? withConsenters(config, others) : config;
}

/** How few orderers tolerate one fault. */
const LEAST_TOLERANT = { bft: 4, raft: 3 } as const;

/**
 * Refuses a change after which no orderer may fail, where one might before.
 * @throws NetworkError FAULT_TOLERANCE
 */
export function checkFaultTolerance(before: ChannelConfig, after: ChannelConfig): void {
  const [kind, least] = isBft(after) ? ['SmartBFT', LEAST_TOLERANT.bft] : ['Raft', LEAST_TOLERANT.raft];
  const left = consentersOf(after).length;
  if (left < least && left < consentersOf(before).length) {
    throw new NetworkError(
      'FAULT_TOLERANCE',
      `${left.toString()} orderers would be left; ${kind} tolerates no fault with fewer than ${least.toString()}. Add another organisation's orderer first, or accept it with --accept-no-fault-tolerance`,
    );
  }
}

/** Checks that the channel knows an organisation by the roots of its part. @throws NetworkError BUNDLE_INVALID */
export function checkOrganisationRoots(config: ChannelConfig, part: PublicPart): void {
  const { root_certs: roots, tls_root_certs: tlsRoots } = valueAt(
    groupAt(config, 'Application', part.mspId),
    'MSP',
    mspSchema,
  ).config;
  if (!roots.includes(base64(part.identityCaCert)) || !tlsRoots.includes(base64(part.tlsCaCert))) {
    throw new NetworkError('BUNDLE_INVALID', `the channel knows ${part.name} by other roots than those of its part`);
  }
}
