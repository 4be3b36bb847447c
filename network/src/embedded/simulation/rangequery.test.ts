// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import fc from 'fast-check';
import { sha256 } from '../protocol/block.js';
import { newKvRead, RangeQueryResults } from './rangequery.js';

const { QueryReads, RangeQueryInfo } = ledger.rwset.kvrwset;
type RangeQueryInfo = ledger.rwset.kvrwset.RangeQueryInfo;

function summary(keys: readonly string[], maxDegree: number): RangeQueryInfo {
  const results = new RangeQueryResults(maxDegree);
  for (const key of keys) {
    results.add(newKvRead(key, { block: 1, transaction: 0 }));
  }
  const info = new RangeQueryInfo();
  results.writeTo(info);
  return info;
}

function leaf(keys: readonly string[]): Buffer {
  const reads = new QueryReads();
  reads.setKvReadsList(keys.map((key) => newKvRead(key, { block: 1, transaction: 0 })));
  return sha256(reads.serializeBinary());
}

describe('Results of a range query', () => {
  it('are recorded as they are, up to the degree of the tree', () => {
    expect(summary([], 2).hasRawReads()).to.equal(false);
    const info = summary(['a', 'b'], 2);
    expect(info.hasReadsMerkleHashes()).to.equal(false);
    expect(
      info
        .getRawReads()!
        .getKvReadsList()
        .map((read) => read.getKey()),
    ).to.deep.equal(['a', 'b']);
  });

  it('are beyond that a Merkle tree over groups of one more than the degree', () => {
    const tree = summary(['a', 'b', 'c', 'd'], 2).getReadsMerkleHashes()!;
    expect(tree.getMaxLevel()).to.equal(1);
    const leaves = [leaf(['a', 'b', 'c']), leaf(['d'])];
    expect(tree.getMaxLevelHashesList_asU8().map((hash) => Buffer.from(hash))).to.deep.equal(leaves);
  });

  it('go a level up when a level holds more hashes than the degree', () => {
    const keys = Array.from({ length: 10 }, (_, index) => String(index));
    const tree = summary(keys, 2).getReadsMerkleHashes()!;
    const combined = sha256(leaf(keys.slice(0, 3)), leaf(keys.slice(3, 6)), leaf(keys.slice(6, 9)));
    expect(tree.getMaxLevel()).to.equal(2);
    expect(tree.getMaxLevelHashesList_asU8().map((hash) => Buffer.from(hash))).to.deep.equal([
      combined,
      leaf(keys.slice(9)),
    ]);
  });

  it('have equal summaries only if they are equal', () => {
    const keys = fc.uniqueArray(fc.string({ maxLength: 4 }), { maxLength: 40 });
    fc.assert(
      fc.property(keys, keys, fc.integer({ min: 2, max: 5 }), (a, b, maxDegree) => {
        const same =
          Buffer.compare(summary(a, maxDegree).serializeBinary(), summary(b, maxDegree).serializeBinary()) === 0;
        expect(same).to.equal(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });
});
