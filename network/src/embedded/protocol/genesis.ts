// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { common, msp, orderer } from '@hyperledger/fabric-protos';
import timestampProto from 'google-protobuf/google/protobuf/timestamp_pb.js';
import { POLICY_MEMBERS } from '../policies.js';
import type { EmbeddedOrganisation, NodeOu, OrderingConfig } from '../types.js';
import { BLOCK_METADATA, newBlock, required, setBlockMetadata, signBlock } from './block.js';
import { computeTransactionId } from './proposal.js';
import { unpackEnvelope } from './transaction.js';

const IMPLICIT_META = common.Policy.PolicyType.IMPLICIT_META;
const SIGNATURE = common.Policy.PolicyType.SIGNATURE;
const RULE = common.ImplicitMetaPolicy.Rule;

type Bytes = { serializeBinary(): Uint8Array };

/**
 * Block 0: a CONFIG transaction with the organisations' membership (roots, TLS roots, NodeOUs), the batch settings and
 * the policies that the network applies.
 */
export function genesisBlock(
  channel: string,
  organisations: readonly EmbeddedOrganisation[],
  ordering: OrderingConfig,
  absoluteMaxBytes: number,
): common.Block {
  const [signer] = organisations;
  if (signer === undefined) {
    throw new Error('a network needs at least one organisation');
  }
  const config = new common.Config();
  config.setChannelGroup(channelGroup(organisations, ordering, absoluteMaxBytes));
  const configEnvelope = new common.ConfigEnvelope();
  configEnvelope.setConfig(config);

  const nonce = randomBytes(24);
  const creator = signer.orderer.serialized;
  const timestamp = new timestampProto.Timestamp();
  timestamp.setSeconds(Math.floor(Date.now() / 1000));
  const channelHeader = new common.ChannelHeader();
  channelHeader.setType(common.HeaderType.CONFIG);
  channelHeader.setVersion(1);
  channelHeader.setTimestamp(timestamp);
  channelHeader.setChannelId(channel);
  channelHeader.setTxId(computeTransactionId(nonce, creator));
  const signatureHeader = new common.SignatureHeader();
  signatureHeader.setCreator(creator);
  signatureHeader.setNonce(nonce);
  const header = new common.Header();
  header.setChannelHeader(channelHeader.serializeBinary());
  header.setSignatureHeader(signatureHeader.serializeBinary());
  const payload = new common.Payload();
  payload.setHeader(header);
  payload.setData(configEnvelope.serializeBinary());
  const envelope = new common.Envelope();
  envelope.setPayload(payload.serializeBinary());
  envelope.setSignature(signer.orderer.sign(payload.serializeBinary()));

  const block = newBlock(0, new Uint8Array(), [envelope.serializeBinary()]);
  setBlockMetadata(block, BLOCK_METADATA.transactionsFilter, Uint8Array.of(0));
  signBlock(block, signer.orderer);
  return block;
}

/** What block 0 says about the network. */
export interface ChannelConfiguration {
  readonly channel: string;
  /** PEM of the root certificate of each MSP. */
  readonly members: ReadonlyMap<string, string>;
}

/** Reads a configuration block. @throws Error where it does not decode. */
export function readConfiguration(block: common.Block): ChannelConfiguration {
  const [bytes] = block.getData()?.getDataList_asU8() ?? [];
  const { payload, channelHeader } = unpackEnvelope(
    common.Envelope.deserializeBinary(required(bytes, 'configuration transaction')),
  );
  const config = common.ConfigEnvelope.deserializeBinary(payload.getData_asU8()).getConfig();
  const application = config?.getChannelGroup()?.getGroupsMap().get('Application');
  const members = new Map<string, string>();
  required(application, 'Application group')
    .getGroupsMap()
    .forEach((group, mspId) => {
      const value = required(group.getValuesMap().get('MSP'), 'MSP value').getValue_asU8();
      const fabricConfig = msp.FabricMSPConfig.deserializeBinary(
        msp.MSPConfig.deserializeBinary(value).getConfig_asU8(),
      );
      const roots = fabricConfig.getRootCertsList_asU8();
      members.set(mspId, roots.map((root) => Buffer.from(root).toString('utf8')).join(''));
    });
  return { channel: channelHeader.getChannelId(), members };
}

function channelGroup(
  organisations: readonly EmbeddedOrganisation[],
  ordering: OrderingConfig,
  absoluteMaxBytes: number,
): common.ConfigGroup {
  const group = new common.ConfigGroup();
  group.setModPolicy('Admins');
  const hashing = new common.HashingAlgorithm();
  hashing.setName('SHA256');
  const structure = new common.BlockDataHashingStructure();
  structure.setWidth(0xffffffff);
  setValue(group, 'HashingAlgorithm', hashing);
  setValue(group, 'BlockDataHashingStructure', structure);
  setCapability(group, 'V3_0');
  setMetaPolicies(group);

  const application = memberGroup(organisations);
  setMetaPolicy(application, 'Endorsement', RULE.MAJORITY, 'Endorsement');
  setMetaPolicy(application, 'LifecycleEndorsement', RULE.MAJORITY, 'Endorsement');
  setCapability(application, 'V2_5');
  group.getGroupsMap().set('Application', application);

  const ordererGroup = memberGroup(organisations);
  setMetaPolicy(ordererGroup, 'BlockValidation', RULE.ANY, 'Writers');
  setCapability(ordererGroup, 'V2_0');
  const consensus = new orderer.ConsensusType();
  consensus.setType('embedded');
  const batchSize = new orderer.BatchSize();
  batchSize.setMaxMessageCount(ordering.maxMessageCount);
  batchSize.setPreferredMaxBytes(ordering.preferredMaxBytes);
  batchSize.setAbsoluteMaxBytes(absoluteMaxBytes);
  const batchTimeout = new orderer.BatchTimeout();
  batchTimeout.setTimeout(`${String(ordering.batchTimeoutMs)}ms`);
  setValue(ordererGroup, 'ConsensusType', consensus);
  setValue(ordererGroup, 'BatchSize', batchSize);
  setValue(ordererGroup, 'BatchTimeout', batchTimeout);
  group.getGroupsMap().set('Orderer', ordererGroup);
  return group;
}

function memberGroup(organisations: readonly EmbeddedOrganisation[]): common.ConfigGroup {
  const group = new common.ConfigGroup();
  group.setModPolicy('Admins');
  setMetaPolicies(group);
  for (const organisation of organisations) {
    const member = new common.ConfigGroup();
    member.setModPolicy('Admins');
    setValue(member, 'MSP', mspConfig(organisation));
    setSignaturePolicy(member, 'Readers', organisation.mspId, POLICY_MEMBERS.Readers);
    setSignaturePolicy(member, 'Writers', organisation.mspId, POLICY_MEMBERS.Writers);
    setSignaturePolicy(member, 'Admins', organisation.mspId, ['admin']);
    setSignaturePolicy(member, 'Endorsement', organisation.mspId, ['peer']);
    group.getGroupsMap().set(organisation.mspId, member);
  }
  return group;
}

function mspConfig(organisation: EmbeddedOrganisation): msp.MSPConfig {
  const root = Buffer.from(organisation.identityCaCert, 'utf8');
  const unit = (name: NodeOu): msp.FabricOUIdentifier => {
    const identifier = new msp.FabricOUIdentifier();
    identifier.setCertificate(root);
    identifier.setOrganizationalUnitIdentifier(name);
    return identifier;
  };
  const units = new msp.FabricNodeOUs();
  units.setEnable(true);
  units.setClientOuIdentifier(unit('client'));
  units.setPeerOuIdentifier(unit('peer'));
  units.setAdminOuIdentifier(unit('admin'));
  units.setOrdererOuIdentifier(unit('orderer'));
  const crypto = new msp.FabricCryptoConfig();
  crypto.setSignatureHashFamily('SHA2');
  crypto.setIdentityIdentifierHashFunction('SHA256');
  const config = new msp.FabricMSPConfig();
  config.setName(organisation.mspId);
  config.setRootCertsList([root]);
  config.setTlsRootCertsList([Buffer.from(organisation.tlsCaCert, 'utf8')]);
  config.setFabricNodeOus(units);
  config.setCryptoConfig(crypto);
  const wrapped = new msp.MSPConfig();
  wrapped.setConfig(config.serializeBinary());
  return wrapped;
}

function setValue(group: common.ConfigGroup, name: string, message: Bytes): void {
  const value = new common.ConfigValue();
  value.setModPolicy('Admins');
  value.setValue(message.serializeBinary());
  group.getValuesMap().set(name, value);
}

function setCapability(group: common.ConfigGroup, name: string): void {
  const capabilities = new common.Capabilities();
  capabilities.getCapabilitiesMap().set(name, new common.Capability());
  setValue(group, 'Capabilities', capabilities);
}

function setMetaPolicies(group: common.ConfigGroup): void {
  setMetaPolicy(group, 'Readers', RULE.ANY, 'Readers');
  setMetaPolicy(group, 'Writers', RULE.ANY, 'Writers');
  setMetaPolicy(group, 'Admins', RULE.MAJORITY, 'Admins');
}

function setMetaPolicy(
  group: common.ConfigGroup,
  name: string,
  rule: common.ImplicitMetaPolicy.RuleMap[keyof common.ImplicitMetaPolicy.RuleMap],
  subPolicy: string,
): void {
  const meta = new common.ImplicitMetaPolicy();
  meta.setRule(rule);
  meta.setSubPolicy(subPolicy);
  setPolicy(group, name, IMPLICIT_META, meta);
}

function setSignaturePolicy(group: common.ConfigGroup, name: string, mspId: string, units: readonly NodeOu[]): void {
  const anyOf = new common.SignaturePolicy.NOutOf();
  anyOf.setN(1);
  const envelope = new common.SignaturePolicyEnvelope();
  units.forEach((unit, index) => {
    const signedBy = new common.SignaturePolicy();
    signedBy.setSignedBy(index);
    anyOf.addRules(signedBy);
    const role = new msp.MSPRole();
    role.setMspIdentifier(mspId);
    role.setRole(ROLE[unit]);
    const principal = new msp.MSPPrincipal();
    principal.setPrincipalClassification(msp.MSPPrincipal.Classification.ROLE);
    principal.setPrincipal(role.serializeBinary());
    envelope.addIdentities(principal);
  });
  const rule = new common.SignaturePolicy();
  rule.setNOutOf(anyOf);
  envelope.setRule(rule);
  setPolicy(group, name, SIGNATURE, envelope);
}

const ROLE = {
  client: msp.MSPRole.MSPRoleType.CLIENT,
  peer: msp.MSPRole.MSPRoleType.PEER,
  admin: msp.MSPRole.MSPRoleType.ADMIN,
  orderer: msp.MSPRole.MSPRoleType.ORDERER,
} as const;

function setPolicy(group: common.ConfigGroup, name: string, type: number, policy: Bytes): void {
  const wrapped = new common.Policy();
  wrapped.setType(type);
  wrapped.setValue(policy.serializeBinary());
  const value = new common.ConfigPolicy();
  value.setModPolicy('Admins');
  value.setPolicy(wrapped);
  group.getPoliciesMap().set(name, value);
}
