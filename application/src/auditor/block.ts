// SPDX-License-Identifier: Apache-2.0
import { common } from '@hyperledger/fabric-protos';
import { blockDataHash, blockHeaderHash, type BlockHeaderFields } from './block-hash.js';
import { AuditError, type AuditCode } from './failure.js';

/** A block taken apart, its bytes as they came. */
export interface AuditBlock {
  readonly header: BlockHeaderFields;
  /** Hash of the header; the next block must name it. */
  readonly hash: Buffer;
  readonly transactions: readonly Uint8Array[];
  readonly metadata: readonly Uint8Array[];
}

/** What the chain says so far: the place at which the next block must fit. */
export interface ChainPosition {
  readonly height: number;
  readonly lastHash: Uint8Array;
}

const { SIGNATURES, LAST_CONFIG, TRANSACTIONS_FILTER, ORDERER, COMMIT_HASH } = common.BlockMetadataIndex;

export function blockError(number: number, code: AuditCode, detail: string): AuditError {
  return new AuditError({ kind: 'block', where: `block ${String(number)}`, code, detail });
}

/** @throws AuditError BLOCK_MALFORMED */
export function readBlock(block: common.Block, position: number): AuditBlock {
  const header = block.getHeader();
  const data = block.getData();
  const metadata = block.getMetadata();
  if (header === undefined || data === undefined || metadata === undefined) {
    throw blockError(position, 'BLOCK_MALFORMED', 'header, data or metadata is missing');
  }
  const fields = {
    number: header.getNumber(),
    previousHash: header.getPreviousHash_asU8(),
    dataHash: header.getDataHash_asU8(),
  };
  return {
    header: fields,
    hash: blockHeaderHash(fields),
    transactions: data.getDataList_asU8(),
    metadata: metadata.getMetadataList_asU8(),
  };
}

/**
 * Checks that the block continues the chain: number, previous hash, data hash, for block 0 the hash that is trusted.
 *
 * @throws AuditError naming the block.
 */
export function verifyChain(block: AuditBlock, position: ChainPosition, genesisHash: string): void {
  const { number } = block.header;
  if (number !== position.height) {
    throw blockError(position.height, 'BLOCK_NUMBER', `found block ${String(number)} instead`);
  }
  if (number === 0 && block.hash.toString('hex') !== genesisHash) {
    throw blockError(
      0,
      'GENESIS_MISMATCH',
      `its hash is ${block.hash.toString('hex')}, the profile says ${genesisHash}`,
    );
  }
  if (number > 0 && Buffer.compare(block.header.previousHash, position.lastHash) !== 0) {
    const expected = Buffer.from(position.lastHash).toString('hex');
    throw blockError(number, 'PREVIOUS_HASH', `block ${String(number - 1)} has the hash ${expected}`);
  }
  if (block.transactions.length === 0) {
    throw blockError(number, 'BLOCK_MALFORMED', 'it holds no transaction');
  }
  if (Buffer.compare(blockDataHash(block.transactions), block.header.dataHash) !== 0) {
    throw blockError(number, 'DATA_HASH', 'the header names another data hash');
  }
}

/** The peer's validation codes, one byte a transaction. */
export function validationFlags(block: AuditBlock): Uint8Array {
  const flags = block.metadata[TRANSACTIONS_FILTER] ?? new Uint8Array();
  if (block.header.number === 0 && flags.length === 0) {
    return new Uint8Array(block.transactions.length);
  }
  if (flags.length !== block.transactions.length) {
    const counts = `${String(flags.length)} codes for ${String(block.transactions.length)} transactions`;
    throw blockError(block.header.number, 'VALIDATION_FLAG', counts);
  }
  return flags;
}

/** The running hash over validation codes and writes that the peer recorded; empty where it keeps none. */
export function recordedCommitHash(block: AuditBlock): Uint8Array {
  return readMetadata(block, COMMIT_HASH).getValue_asU8();
}

/** What orderers signed in this block: one entry of its metadata. */
export function signaturesOf(block: AuditBlock): common.Metadata {
  return readMetadata(block, SIGNATURES);
}

/**
 * Checks the metadata against the chain, since no signature covers all of it.
 *
 * @param lastConfig number of the last block with a configuration, this one included.
 * @throws AuditError BLOCK_METADATA
 */
export function verifyMetadata(block: AuditBlock, lastConfig: number): void {
  const { number } = block.header;
  const consenter = ordererMetadata(block);
  const claimed = [consenter?.getLastConfig()?.getIndex() ?? 0];
  const legacy = readMetadata(block, LAST_CONFIG).getValue_asU8();
  if (legacy.length > 0) {
    claimed.push(common.LastConfig.deserializeBinary(legacy).getIndex());
  }
  if (claimed.some((index) => index !== lastConfig)) {
    throw blockError(number, 'BLOCK_METADATA', `the last configuration is in block ${String(lastConfig)}`);
  }
  const isUnsigned = readMetadata(block, SIGNATURES).getSignaturesList().length === 0;
  if (isUnsigned && (consenter?.getConsenterMetadata_asU8().length ?? 0) > 0) {
    throw blockError(number, 'BLOCK_METADATA', 'nobody signed what it says of the consenters');
  }
  const ordererBytes = block.metadata[ORDERER] ?? new Uint8Array();
  const expected = consenter?.getConsenterMetadata_asU8() ?? new Uint8Array();
  if (ordererBytes.length > 0 && Buffer.compare(ordererBytes, expected) !== 0) {
    throw blockError(number, 'BLOCK_METADATA', "the orderer's entry differs from the signed one");
  }
}

function ordererMetadata(block: AuditBlock): common.OrdererBlockMetadata | undefined {
  const value = readMetadata(block, SIGNATURES).getValue_asU8();
  if (value.length === 0) {
    return undefined;
  }
  try {
    return common.OrdererBlockMetadata.deserializeBinary(value);
  } catch {
    throw blockError(block.header.number, 'BLOCK_METADATA', 'the value that the orderer signed cannot be read');
  }
}

/** Parses one entry; whatever the parser would ignore (unknown fields, other encodings) counts as damage. */
function readMetadata(block: AuditBlock, index: number): common.Metadata {
  const bytes = block.metadata[index] ?? new Uint8Array();
  try {
    const metadata = common.Metadata.deserializeBinary(bytes);
    if (Buffer.compare(metadata.serializeBinary(), bytes) === 0) {
      return metadata;
    }
  } catch {
    // An unreadable entry and a differently encoded one are the same finding, reported below.
  }
  throw blockError(block.header.number, 'BLOCK_METADATA', `metadata entry ${String(index)} cannot be read`);
}
