// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { common, msp, orderer } from '@hyperledger/fabric-protos';
import { readRevocationList, type RevocationList } from './revocation-list.js';

/** One version of the channel's configuration, read from a configuration block. */
export interface ChannelConfig {
  /** Grows by one with every configuration block; 0 in block 0. */
  readonly sequence: number;
  readonly root: common.ConfigGroup;
  /** Every MSP that is a member of the channel's applications or of its ordering service. */
  readonly msps: readonly MspDefinition[];
  /** MSP ids of the channel's application organisations. */
  readonly applicationMspIds: readonly string[];
  /** Type of the ordering service: `BFT`, `etcdraft`; `embedded` for the network in one process. */
  readonly consensus: string;
  /** The identities that sign blocks by number; undefined where the ordering service is not byzantine fault tolerant. */
  readonly consenters?: readonly Consenter[];
}

/** An organisation's membership rules, as the configuration defines them. */
export interface MspDefinition {
  readonly mspId: string;
  readonly roots: readonly X509Certificate[];
  readonly intermediates: readonly X509Certificate[];
  /** Certificates that are administrators by name, whatever unit they are of. */
  readonly admins: readonly X509Certificate[];
  readonly revocationLists: readonly RevocationList[];
  /** Names of the organisational units that tell what an identity is; undefined where units mean nothing. */
  readonly units?: Readonly<Record<OrganisationUnit, string>>;
}

export type OrganisationUnit = 'client' | 'peer' | 'admin' | 'orderer';

/** One member of a byzantine fault tolerant ordering service. */
export interface Consenter {
  readonly id: number;
  /** The serialised identity that it signs blocks with. */
  readonly identity: Uint8Array;
  /** SHA-256 of its certificate. */
  readonly fingerprint: string;
}

/** The content of a CONFIG transaction. */
export interface ConfigTransaction {
  readonly config: ChannelConfig;
  /** The signed CONFIG_UPDATE that led to it; undefined in block 0. */
  readonly lastUpdate?: common.Envelope;
}

/** Parses the envelope of a CONFIG transaction. @throws Error where it holds no readable configuration. */
export function readConfigTransaction(envelopeBytes: Uint8Array): ConfigTransaction {
  const envelope = common.Envelope.deserializeBinary(envelopeBytes);
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const content = common.ConfigEnvelope.deserializeBinary(payload.getData_asU8());
  const root = content.getConfig()?.getChannelGroup();
  if (root === undefined) {
    throw new Error('it holds no configuration');
  }
  const lastUpdate = content.getLastUpdate();
  const config = configOf(content.getConfig()?.getSequence() ?? 0, root);
  return lastUpdate === undefined ? { config } : { config, lastUpdate };
}

function configOf(sequence: number, root: common.ConfigGroup): ChannelConfig {
  const orderers = mspsOf(root, 'Orderer');
  const applications = mspsOf(root, 'Application');
  const values = root.getGroupsMap().get('Orderer')?.getValuesMap();
  const consensus = orderer.ConsensusType.deserializeBinary(
    values?.get('ConsensusType')?.getValue_asU8() ?? new Uint8Array(),
  ).getType();
  return {
    sequence,
    root,
    consensus,
    // An organisation that is in both groups has one definition: Fabric refuses two differing ones.
    msps: [...new Map([...orderers, ...applications].map((definition) => [definition.mspId, definition])).values()],
    applicationMspIds: applications.map(({ mspId }) => mspId),
    ...(consensus === BFT ? { consenters: consentersOf(root) } : {}),
  };
}

/** The name of each organisation's group within `Application`, by MSP id. */
export function applicationGroupOf(root: common.ConfigGroup, mspId: string): string | undefined {
  const groups = root.getGroupsMap().get('Application')?.getGroupsMap();
  const names = groups === undefined ? [] : [...groups.toArray()].map(([name]) => name);
  return names.find((name) => {
    const group = groups?.get(name);
    return group !== undefined && mspOf(group).mspId === mspId;
  });
}

function mspsOf(root: common.ConfigGroup, name: 'Application' | 'Orderer'): MspDefinition[] {
  const definitions: MspDefinition[] = [];
  root
    .getGroupsMap()
    .get(name)
    ?.getGroupsMap()
    .forEach((group: common.ConfigGroup) => {
      definitions.push(mspOf(group));
    });
  return definitions;
}

function mspOf(group: common.ConfigGroup): MspDefinition {
  const value = group.getValuesMap().get('MSP')?.getValue_asU8() ?? new Uint8Array();
  const config = msp.FabricMSPConfig.deserializeBinary(msp.MSPConfig.deserializeBinary(value).getConfig_asU8());
  const certificates = (list: readonly Uint8Array[]) => list.map((bytes) => new X509Certificate(Buffer.from(bytes)));
  const units = config.getFabricNodeOus();
  return {
    mspId: config.getName(),
    roots: certificates(config.getRootCertsList_asU8()),
    intermediates: certificates(config.getIntermediateCertsList_asU8()),
    admins: certificates(config.getAdminsList_asU8()),
    revocationLists: config.getRevocationListList_asU8().map(readRevocationList),
    ...(units?.getEnable() === true ? { units: unitNames(units) } : {}),
  };
}

function unitNames(units: msp.FabricNodeOUs): Record<OrganisationUnit, string> {
  return {
    client: units.getClientOuIdentifier()?.getOrganizationalUnitIdentifier() ?? '',
    peer: units.getPeerOuIdentifier()?.getOrganizationalUnitIdentifier() ?? '',
    admin: units.getAdminOuIdentifier()?.getOrganizationalUnitIdentifier() ?? '',
    orderer: units.getOrdererOuIdentifier()?.getOrganizationalUnitIdentifier() ?? '',
  };
}

const BFT = 'BFT';

function consentersOf(root: common.ConfigGroup): Consenter[] {
  const value = root.getGroupsMap().get('Orderer')?.getValuesMap().get('Orderers');
  const list = common.Orderers.deserializeBinary(value?.getValue_asU8() ?? new Uint8Array());
  return list.getConsenterMappingList().map((consenter) => {
    const identity = new msp.SerializedIdentity();
    identity.setMspid(consenter.getMspId());
    identity.setIdBytes(consenter.getIdentity_asU8());
    const { fingerprint256: fingerprint } = new X509Certificate(Buffer.from(consenter.getIdentity_asU8()));
    return { id: consenter.getId(), identity: identity.serializeBinary(), fingerprint };
  });
}

/**
 * How many of n consenters must sign a block, so that any two quorums share an honest one: ⌈(n + f + 1) / 2⌉ with
 * f = ⌊(n − 1) / 3⌋ (Fabric, common/policies `ComputeBFTQuorum`).
 */
export function bftQuorum(consenters: number): number {
  const faulty = Math.floor((consenters - 1) / 3);
  return Math.ceil((consenters + faulty + 1) / 2);
}
