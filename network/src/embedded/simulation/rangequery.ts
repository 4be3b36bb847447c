// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import type { Version } from '../ledger/keys.js';
import { sha256 } from '../protocol/block.js';

const { KVRead, QueryReads, QueryReadsMerkleSummary, RangeQueryInfo, Version: VersionMessage } = ledger.rwset.kvrwset;

type KVRead = ledger.rwset.kvrwset.KVRead;
type RangeQueryInfo = ledger.rwset.kvrwset.RangeQueryInfo;

/** Fabric's `maxDegreeQueryReadsHashing`: more results than this are recorded as a Merkle summary. */
const MAX_DEGREE = 50;

export function newKvRead(key: string, version: Version | undefined): KVRead {
  const read = new KVRead();
  read.setKey(key);
  read.setVersion(newVersion(version));
  return read;
}

/** Version of a read; undefined where there was no such key. */
export function newVersion(version: Version | undefined): ledger.rwset.kvrwset.Version | undefined {
  if (version === undefined) {
    return undefined;
  }
  const message = new VersionMessage();
  message.setBlockNum(version.block);
  message.setTxNum(version.transaction);
  return message;
}

/**
 * What a range query returned: the reads themselves, or, where there are many, the Merkle summary of them that Fabric
 * builds (rwsetutil `RangeQueryResultsHelper`).
 */
export class RangeQueryResults {
  readonly #maxDegree: number;
  readonly #levels = new Map<number, Buffer[]>();
  #maxLevel = 1;
  #pending: KVRead[] = [];

  constructor(maxDegree = MAX_DEGREE) {
    this.#maxDegree = maxDegree;
  }

  add(read: KVRead): void {
    this.#pending.push(read);
    if (this.#pending.length > this.#maxDegree) {
      this.#hashPending();
    }
  }

  /** Completes `info` with the results. To be called once. */
  writeTo(info: RangeQueryInfo): void {
    if (this.#maxLevel === 1 && this.#level(1).length === 0) {
      if (this.#pending.length > 0) {
        const reads = new QueryReads();
        reads.setKvReadsList(this.#pending);
        info.setRawReads(reads);
      }
      return;
    }
    if (this.#pending.length > 0) {
      this.#hashPending();
    }
    this.#complete();
    const summary = new QueryReadsMerkleSummary();
    summary.setMaxDegree(this.#maxDegree);
    summary.setMaxLevel(this.#maxLevel);
    summary.setMaxLevelHashesList(this.#level(this.#maxLevel));
    info.setReadsMerkleHashes(summary);
  }

  #hashPending(): void {
    const reads = new QueryReads();
    reads.setKvReadsList(this.#pending);
    this.#pending = [];
    this.#level(1).push(sha256(reads.serializeBinary()));
    for (let level = 1; this.#level(level).length > this.#maxDegree; level += 1) {
      this.#raise(level);
    }
  }

  #complete(): void {
    for (let level = 1; level < this.#maxLevel; level += 1) {
      const [only, ...others] = this.#level(level);
      if (only !== undefined && others.length === 0) {
        this.#levels.delete(level);
        this.#level(level + 1).push(only);
      } else if (only !== undefined) {
        this.#raise(level);
      }
    }
    if (this.#level(this.#maxLevel).length > this.#maxDegree) {
      this.#raise(this.#maxLevel);
    }
  }

  /** Replaces a level by one hash over it in the level above. */
  #raise(level: number): void {
    const hash = sha256(...this.#level(level));
    this.#levels.delete(level);
    this.#level(level + 1).push(hash);
    this.#maxLevel = Math.max(this.#maxLevel, level + 1);
  }

  #level(level: number): Buffer[] {
    const hashes = this.#levels.get(level) ?? [];
    this.#levels.set(level, hashes);
    return hashes;
  }
}

/** Results of a range query that is still going on. */
export class RangeQueryRecorder {
  readonly #info = new RangeQueryInfo();
  readonly #endKey: string;
  readonly #results = new RangeQueryResults();

  constructor(startKey: string, endKey: string) {
    this.#info.setStartKey(startKey);
    this.#endKey = endKey;
  }

  /** A result was handed out: the range that was seen ends there, because nobody may ask for more. */
  add(key: string, version: Version): void {
    this.#results.add(newKvRead(key, version));
    this.#info.setEndKey(key);
  }

  exhausted(): void {
    this.#info.setItrExhausted(true);
    this.#info.setEndKey(this.#endKey);
  }

  /** To be called once. */
  finish(): RangeQueryInfo {
    this.#results.writeTo(this.#info);
    return this.#info;
  }
}
