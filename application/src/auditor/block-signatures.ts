// SPDX-License-Identifier: Apache-2.0
import { common } from '@hyperledger/fabric-protos';
import { blockHeaderBytes } from './block-hash.js';
import { blockError, signaturesOf, type AuditBlock } from './block.js';
import { bftQuorum } from './channel-config.js';
import type { Channel } from './channel.js';
import { AuditError } from './failure.js';
import { MembershipError, type Member } from './membership.js';

const POLICY = '/Channel/Orderer/BlockValidation';

/** One signature of a block, with the identity that it claims and the bytes that it covers beside value and header. */
interface Claim {
  readonly identity: Uint8Array;
  readonly header: Uint8Array;
}

/**
 * Checks who ordered a block (Fabric, protoutil `BlockSignatureVerifier`). Each signature covers metadata value ‖ its
 * own header ‖ block header. Orderers name themselves by their certificate, those of a byzantine fault tolerant
 * service by their number, whose identity the configuration holds. Every signature must be a different orderer's and
 * must hold, which is more than a peer demands; together they must satisfy the channel's policy for blocks, and be of
 * a quorum of the consenters. Block 0 need not be signed, its hash is the anchor of trust.
 *
 * @returns how many signatures were checked.
 * @throws AuditError ORDERER_SIGNATURE, ORDERER_QUORUM
 */
export function verifyBlockSignatures(block: AuditBlock, channel: Channel): number {
  const { number } = block.header;
  const metadata = signaturesOf(block);
  const value = metadata.getValue_asU8();
  const headerBytes = blockHeaderBytes(block.header);
  const signatures = metadata.getSignaturesList();
  const signers = new Map<string, Member>();
  for (const signature of signatures) {
    const { identity, header } = claimOf(number, signature, channel);
    const orderer = ordererOf(number, identity, channel);
    const message = Buffer.concat([value, header, headerBytes]);
    if (!channel.membership.verify(orderer, message, signature.getSignature_asU8())) {
      throw blockError(number, 'ORDERER_SIGNATURE', `the signature of ${nameOf(orderer)} does not hold`);
    }
    if (signers.has(orderer.fingerprint)) {
      throw blockError(number, 'ORDERER_SIGNATURE', `${nameOf(orderer)} signed twice`);
    }
    signers.set(orderer.fingerprint, orderer);
  }
  if (number > 0) {
    checkQuorum(number, [...signers.values()], channel);
  }
  return signatures.length;
}

function claimOf(number: number, signature: common.MetadataSignature, { config }: Channel): Claim {
  const signatureHeader = signature.getSignatureHeader_asU8();
  const identifierHeader = signature.getIdentifierHeader_asU8();
  try {
    if (signatureHeader.length > 0 || config.consenters === undefined) {
      const identity = common.SignatureHeader.deserializeBinary(signatureHeader).getCreator_asU8();
      return { identity, header: signatureHeader };
    }
    const id = common.IdentifierHeader.deserializeBinary(identifierHeader).getIdentifier();
    const consenter = config.consenters.find((one) => one.id === id);
    if (consenter !== undefined) {
      return { identity: consenter.identity, header: identifierHeader };
    }
    throw blockError(number, 'ORDERER_SIGNATURE', `the channel has no consenter ${String(id)}`);
  } catch (error) {
    if (error instanceof AuditError) {
      throw error;
    }
    throw blockError(number, 'ORDERER_SIGNATURE', 'the header of a signature cannot be read');
  }
}

function ordererOf(number: number, identity: Uint8Array, { membership }: Channel): Member {
  try {
    const member = membership.identify(identity);
    if (member.unit === 'orderer') {
      return member;
    }
    throw blockError(number, 'ORDERER_SIGNATURE', `the signer (${member.subject}) is not an orderer`);
  } catch (error) {
    if (error instanceof MembershipError) {
      throw blockError(number, 'ORDERER_SIGNATURE', error.message);
    }
    throw error;
  }
}

function checkQuorum(number: number, signers: readonly Member[], { config, policies }: Channel): void {
  const names = signers.length === 0 ? 'nobody' : signers.map(nameOf).join('; ');
  if (config.consenters !== undefined) {
    const consenters = new Set(config.consenters.map(({ fingerprint }) => fingerprint));
    const signed = signers.filter(({ fingerprint }) => consenters.has(fingerprint)).length;
    const quorum = bftQuorum(config.consenters.length);
    if (signed < quorum) {
      const counts = `${String(quorum)} of ${String(config.consenters.length)} consenters must sign`;
      throw blockError(number, 'ORDERER_QUORUM', `${counts}, it was signed by ${names}`);
    }
  }
  if (policies.find(POLICY)?.isSatisfiedBy(signers) !== true) {
    throw blockError(number, 'ORDERER_QUORUM', `${POLICY} is not satisfied, it was signed by ${names}`);
  }
}

function nameOf({ mspId, subject }: Member): string {
  return `${mspId} (${subject})`;
}
