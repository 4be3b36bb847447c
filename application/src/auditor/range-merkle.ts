// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import { sha256 } from './block-hash.js';
import type { StateEntry } from './versions.js';

const { KVRead, QueryReads, Version } = ledger.rwset.kvrwset;
type Summary = ledger.rwset.kvrwset.QueryReadsMerkleSummary;

/**
 * True where these results of a range query give the Merkle summary that the endorsers recorded. Fabric keeps a
 * summary instead of the results when they are many (core/ledger/kvledger/txmgmt/rwsetutil, query_results_helper).
 */
export function matchesMerkleSummary(results: readonly StateEntry[], summary: Summary): boolean {
  const maxDegree = summary.getMaxDegree();
  // Up to maxDegree results are recorded as they are.
  if (maxDegree < 2 || results.length <= maxDegree) {
    return false;
  }
  const tree = new MerkleTree(maxDegree);
  // A leaf covers maxDegree + 1 results: pending ones are hashed as soon as they exceed the degree.
  for (let start = 0; start < results.length; start += maxDegree + 1) {
    tree.add(leafHash(results.slice(start, start + maxDegree + 1)));
  }
  const { level, hashes } = tree.finish();
  const expected = summary.getMaxLevelHashesList_asU8();
  return (
    level === summary.getMaxLevel() &&
    hashes.length === expected.length &&
    hashes.every((hash, i) => Buffer.compare(hash, expected[i] ?? new Uint8Array()) === 0)
  );
}

function leafHash(results: readonly StateEntry[]): Buffer {
  const reads = new QueryReads();
  for (const { key, block, transaction } of results) {
    const version = new Version();
    version.setBlockNum(block);
    version.setTxNum(transaction);
    const read = new KVRead();
    read.setKey(key);
    read.setVersion(version);
    reads.addKvReads(read);
  }
  return sha256(reads.serializeBinary());
}

/** Grows from the leaves; a level with more than `maxDegree` hashes becomes one hash of the level above. */
class MerkleTree {
  readonly #levels = new Map<number, Buffer[]>();
  #maxLevel = 1;

  constructor(readonly maxDegree: number) {}

  add(leaf: Buffer): void {
    this.#append(1, leaf);
    for (let level = 1; this.#at(level).length > this.maxDegree; level++) {
      this.#raise(level);
    }
  }

  finish(): { level: number; hashes: readonly Buffer[] } {
    for (let level = 1; level < this.#maxLevel; level++) {
      const hashes = this.#at(level);
      const [only] = hashes;
      if (hashes.length === 1 && only !== undefined) {
        this.#levels.delete(level);
        this.#append(level + 1, only);
      } else if (hashes.length > 1) {
        this.#raise(level);
      }
    }
    if (this.#at(this.#maxLevel).length > this.maxDegree) {
      this.#raise(this.#maxLevel);
    }
    return { level: this.#maxLevel, hashes: this.#at(this.#maxLevel) };
  }

  #at(level: number): Buffer[] {
    return this.#levels.get(level) ?? [];
  }

  #append(level: number, hash: Buffer): void {
    this.#levels.set(level, [...this.#at(level), hash]);
    this.#maxLevel = Math.max(this.#maxLevel, level);
  }

  #raise(level: number): void {
    const combined = sha256(...this.#at(level));
    this.#levels.delete(level);
    this.#append(level + 1, combined);
  }
}
