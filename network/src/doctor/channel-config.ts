// SPDX-License-Identifier: Apache-2.0
import { common, msp, orderer } from '@hyperledger/fabric-protos';
import { required } from '../embedded/protocol/block.js';
import type { StoredBlock } from './ledger-files.js';

/** What a channel's configuration says about who belongs to it. */
export interface ChannelConfig {
  readonly consensus: 'bft' | 'raft';
  /** Roots by MSP id: PEM, those of identities and of TLS. */
  readonly members: ReadonlyMap<string, { readonly roots: readonly string[]; readonly tlsRoots: readonly string[] }>;
  readonly consenters: readonly Consenter[];
}

export interface Consenter {
  readonly host: string;
  readonly port: number;
  /** SmartBFT knows its nodes by MSP and this certificate (PEM). */
  readonly mspId?: string;
  readonly identity?: string;
  /** Raft knows them by this one. */
  readonly serverTlsCert: string;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

function fabricMsp(group: common.ConfigGroup): msp.FabricMSPConfig {
  const value = required(group.getValuesMap().get('MSP'), 'MSP').getValue_asU8();
  return msp.FabricMSPConfig.deserializeBinary(msp.MSPConfig.deserializeBinary(value).getConfig_asU8());
}

function consentersOf(group: common.ConfigGroup, metadata: Uint8Array, isBft: boolean): Consenter[] {
  if (isBft) {
    const value = required(group.getValuesMap().get('Orderers'), 'Orderers').getValue_asU8();
    return common.Orderers.deserializeBinary(value)
      .getConsenterMappingList()
      .map((node) => ({
        host: node.getHost(),
        port: node.getPort(),
        mspId: node.getMspId(),
        identity: text(node.getIdentity_asU8()),
        serverTlsCert: text(node.getServerTlsCert_asU8()),
      }));
  }
  return orderer.etcdraft.ConfigMetadata.deserializeBinary(metadata)
    .getConsentersList()
    .map((node) => ({
      host: node.getHost(),
      port: node.getPort(),
      serverTlsCert: text(node.getServerTlsCert_asU8()),
    }));
}

/** Reads the configuration in a configuration block. @throws Error when it is none */
export function channelConfigOf(block: StoredBlock): ChannelConfig {
  const envelope = common.Envelope.deserializeBinary(required(block.envelopes[0], 'configuration envelope'));
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const config = common.ConfigEnvelope.deserializeBinary(payload.getData_asU8()).getConfig();
  const root = required(config?.getChannelGroup(), 'channel group');
  const ordering = required(root.getGroupsMap().get('Orderer'), 'orderer group');
  const members = new Map<string, { roots: string[]; tlsRoots: string[] }>();
  for (const group of [ordering, required(root.getGroupsMap().get('Application'), 'application group')]) {
    group.getGroupsMap().forEach((organisation: common.ConfigGroup) => {
      const config = fabricMsp(organisation);
      members.set(config.getName(), {
        roots: config.getRootCertsList_asU8().map(text),
        tlsRoots: config.getTlsRootCertsList_asU8().map(text),
      });
    });
  }
  const typeValue = required(ordering.getValuesMap().get('ConsensusType'), 'ConsensusType').getValue_asU8();
  const type = orderer.ConsensusType.deserializeBinary(typeValue);
  const isBft = type.getType() === 'BFT';
  return {
    consensus: isBft ? 'bft' : 'raft',
    members,
    consenters: consentersOf(ordering, type.getMetadata_asU8(), isBft),
  };
}
