// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { NetworkError } from '../errors.js';
import { groupAt, setValue, valueAt, type ChannelConfig } from './config-document.js';

/** An orderer in a channel's configuration. Certificates are PEM. */
export interface Consenter {
  readonly host: string;
  readonly port: number;
  /** Of a SmartBFT channel: its number there, its organisation, and the identity that it signs blocks with. */
  readonly bft?: { readonly id: number; readonly mspId: string; readonly identityCert: string };
  /** It is server and client of the others with the same certificate. */
  readonly tlsCert: string;
}

const address = { host: z.string(), port: z.int() };
const bftConsenter = z.looseObject({
  ...address,
  id: z.int(),
  msp_id: z.string(),
  identity: z.string(),
  server_tls_cert: z.string(),
});
const bftMapping = z.looseObject({ consenter_mapping: z.array(bftConsenter) });
const raftConsenter = z.looseObject({ ...address, server_tls_cert: z.string() });
const raftMetadata = z.looseObject({ consenters: z.array(raftConsenter) });
const consensusType = z.looseObject({ type: z.string(), metadata: z.unknown() });

const encode = (pem: string): string => Buffer.from(pem).toString('base64');
const decode = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** How a channel orders: `BFT` or `etcdraft`. */
export function consensusOf(config: ChannelConfig): string {
  return valueAt(groupAt(config, 'Orderer'), 'ConsensusType', consensusType).type;
}

/** The orderers that decide, in their order in the configuration. */
export function consentersOf(config: ChannelConfig): Consenter[] {
  const orderer = groupAt(config, 'Orderer');
  const consensus = valueAt(orderer, 'ConsensusType', consensusType);
  if (consensus.type === 'BFT') {
    return valueAt(orderer, 'Orderers', bftMapping).consenter_mapping.map((entry) => ({
      host: entry.host,
      port: entry.port,
      bft: { id: entry.id, mspId: entry.msp_id, identityCert: decode(entry.identity) },
      tlsCert: decode(entry.server_tls_cert),
    }));
  }
  return raftMetadata.parse(consensus.metadata).consenters.map(({ host, port, server_tls_cert }) => ({
    host,
    port,
    tlsCert: decode(server_tls_cert),
  }));
}

/** Signatures that a block needs from n orderers of which f may lie: ⌈(n + f + 1) / 2⌉, f = ⌊(n − 1) / 3⌋. */
export function bftQuorum(orderers: number): number {
  const faulty = Math.floor((orderers - 1) / 3);
  return Math.ceil((orderers + faulty + 1) / 2);
}

/** What orderers of a SmartBFT channel check a configuration for: that a quorum of just these has to sign blocks. */
function blockValidation(consenters: readonly z.infer<typeof bftConsenter>[]): unknown {
  return {
    type: 1,
    value: {
      identities: consenters.map(({ msp_id, identity }) => ({
        principal: { id_bytes: identity, mspid: msp_id },
        principal_classification: 'IDENTITY',
      })),
      rule: {
        n_out_of: { n: bftQuorum(consenters.length), rules: consenters.map((_, index) => ({ signed_by: index })) },
      },
      version: 0,
    },
  };
}

function withBftConsenters(config: ChannelConfig, consenters: readonly Consenter[]): ChannelConfig {
  const orderer = groupAt(config, 'Orderer');
  const mapping = valueAt(orderer, 'Orderers', bftMapping);
  const entries = consenters.map(({ host, port, bft, tlsCert }) => {
    if (bft === undefined) {
      throw new NetworkError('CONFIG_UNKNOWN', `the orderer ${host}:${port.toString()} lacks what SmartBFT needs`);
    }
    const tls = encode(tlsCert);
    const certificates = { client_tls_cert: tls, server_tls_cert: tls, identity: encode(bft.identityCert) };
    return { id: bft.id, msp_id: bft.mspId, host, port, ...certificates };
  });
  setValue(orderer, 'Orderers', { ...mapping, consenter_mapping: entries });
  const validation = orderer.policies?.['BlockValidation'];
  if (validation === undefined) {
    throw new NetworkError('CONFIG_UNKNOWN', "the channel's configuration has no policy BlockValidation");
  }
  validation.policy = blockValidation(entries);
  return config;
}

/**
 * Puts other orderers, or other certificates of theirs, in the place of those that decide. On a SmartBFT channel the
 * policy that blocks are checked by names them too, and is changed with them.
 */
export function withConsenters(config: ChannelConfig, consenters: readonly Consenter[]): ChannelConfig {
  if (consensusOf(config) === 'BFT') {
    return withBftConsenters(config, consenters);
  }
  const orderer = groupAt(config, 'Orderer');
  const consensus = valueAt(orderer, 'ConsensusType', consensusType);
  const metadata = raftMetadata.parse(consensus.metadata);
  const entries = consenters.map(({ host, port, tlsCert }) => {
    const tls = encode(tlsCert);
    return { client_tls_cert: tls, host, port, server_tls_cert: tls };
  });
  setValue(orderer, 'ConsensusType', { ...consensus, metadata: { ...metadata, consenters: entries } });
  return config;
}

/** Gives the orderer at an address other certificates. @throws NetworkError CONFIG_UNKNOWN where there is none */
export function withConsenterCertificates(
  config: ChannelConfig,
  address: { readonly host: string; readonly port: number },
  certificates: { readonly identityCert: string; readonly tlsCert: string },
): ChannelConfig {
  const present = consentersOf(config);
  const isMeant = ({ host, port }: Consenter): boolean => host === address.host && port === address.port;
  if (!present.some(isMeant)) {
    const { host, port } = address;
    throw new NetworkError('CONFIG_UNKNOWN', `the channel has no orderer at ${host}:${port.toString()}`);
  }
  const { identityCert, tlsCert } = certificates;
  return withConsenters(
    config,
    present.map((consenter) =>
      isMeant(consenter)
        ? { ...consenter, tlsCert, ...(consenter.bft === undefined ? {} : { bft: { ...consenter.bft, identityCert } }) }
        : consenter,
    ),
  );
}
