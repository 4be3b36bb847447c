// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes } from 'node:crypto';
import { common } from '@hyperledger/fabric-protos';
import type { SigningIdentity } from '../types.js';
import { derOctetString, derSequence, derUnsignedInteger } from './der.js';

/** Positions in a block's metadata list (`common.BlockMetadataIndex`). */
export const BLOCK_METADATA = {
  signatures: 0,
  lastConfig: 1,
  transactionsFilter: 2,
  orderer: 3,
  commitHash: 4,
} as const;

/** SHA-256. */
export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part);
  }
  return hash.digest();
}

/** A message's part that must be there. @throws Error naming what is missing. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) {
    throw new Error(`${what} is missing`);
  }
  return value;
}

/** The ASN.1 form of a block header that is hashed and signed (Fabric `protoutil.BlockHeaderBytes`). */
export function blockHeaderBytes(header: common.BlockHeader): Buffer {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(header.getNumber()));
  return derSequence(
    derUnsignedInteger(number),
    derOctetString(header.getPreviousHash_asU8()),
    derOctetString(header.getDataHash_asU8()),
  );
}

/** Hash that the next block's `previous_hash` refers to. */
export function blockHeaderHash(header: common.BlockHeader): Buffer {
  return sha256(blockHeaderBytes(header));
}

/** Hash over a block's envelopes (Fabric `protoutil.ComputeBlockDataHash`). */
export function blockDataHash(data: readonly Uint8Array[]): Buffer {
  return sha256(...data);
}

/** A block with header and data; its metadata slots are empty. */
export function newBlock(number: number, previousHash: Uint8Array, envelopes: readonly Uint8Array[]): common.Block {
  const header = new common.BlockHeader();
  header.setNumber(number);
  header.setPreviousHash(previousHash);
  header.setDataHash(blockDataHash(envelopes));
  const data = new common.BlockData();
  data.setDataList([...envelopes]);
  const metadata = new common.BlockMetadata();
  metadata.setMetadataList([new Uint8Array(), new Uint8Array(), new Uint8Array(), new Uint8Array(), new Uint8Array()]);
  const block = new common.Block();
  block.setHeader(header);
  block.setData(data);
  block.setMetadata(metadata);
  return block;
}

/** One slot of a block's metadata; empty where it is not set. */
export function getBlockMetadata(block: common.Block, index: number): Uint8Array {
  return block.getMetadata()?.getMetadataList_asU8()[index] ?? new Uint8Array();
}

/** Sets one slot of a block's metadata. */
export function setBlockMetadata(block: common.Block, index: number, value: Uint8Array): void {
  const metadata = required(block.getMetadata(), 'block metadata');
  const list = metadata.getMetadataList();
  list[index] = value;
  metadata.setMetadataList(list);
}

/**
 * Adds LAST_CONFIG and the orderer's signature over (metadata value, signature header, block header), as Fabric's
 * block writer does.
 */
export function signBlock(block: common.Block, orderer: SigningIdentity): void {
  const lastConfig = new common.LastConfig();
  const lastConfigMetadata = new common.Metadata();
  lastConfigMetadata.setValue(lastConfig.serializeBinary());
  setBlockMetadata(block, BLOCK_METADATA.lastConfig, lastConfigMetadata.serializeBinary());

  const ordererMetadata = new common.OrdererBlockMetadata();
  ordererMetadata.setLastConfig(lastConfig);
  ordererMetadata.setConsenterMetadata(new common.Metadata().serializeBinary());
  const value = ordererMetadata.serializeBinary();

  const signatureHeader = new common.SignatureHeader();
  signatureHeader.setCreator(orderer.serialized);
  signatureHeader.setNonce(randomBytes(24));
  const signatureHeaderBytes = signatureHeader.serializeBinary();

  const header = required(block.getHeader(), 'block header');
  const signature = new common.MetadataSignature();
  signature.setSignatureHeader(signatureHeaderBytes);
  signature.setSignature(orderer.sign(Buffer.concat([value, signatureHeaderBytes, blockHeaderBytes(header)])));
  const metadata = new common.Metadata();
  metadata.setValue(value);
  metadata.addSignatures(signature);
  setBlockMetadata(block, BLOCK_METADATA.signatures, metadata.serializeBinary());
}
