// SPDX-License-Identifier: Apache-2.0
import { ledger } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import fc from 'fast-check';
import { blockHeaderBytes, sha256 } from './block-hash.js';
import { commitHash } from './commit-hash.js';
import { matchesMerkleSummary } from './range-merkle.js';
import { ReplayedState, type StateEntry } from './versions.js';

const { KVRead, KVRWSet, KVWrite, QueryReads, QueryReadsMerkleSummary, RangeQueryInfo, Version } = ledger.rwset.kvrwset;
type KvRwSet = ledger.rwset.kvrwset.KVRWSet;

function version(block: number, transaction: number): ledger.rwset.kvrwset.Version {
  const value = new Version();
  value.setBlockNum(block);
  value.setTxNum(transaction);
  return value;
}

function read(key: string, at?: readonly [number, number]): ledger.rwset.kvrwset.KVRead {
  const value = new KVRead();
  value.setKey(key);
  value.setVersion(at === undefined ? undefined : version(...at));
  return value;
}

function write(key: string, value?: string): ledger.rwset.kvrwset.KVWrite {
  const kv = new KVWrite();
  kv.setKey(key);
  kv.setIsDelete(value === undefined);
  kv.setValue(Buffer.from(value ?? ''));
  return kv;
}

interface SetParts {
  readonly reads?: ledger.rwset.kvrwset.KVRead[];
  readonly writes?: ledger.rwset.kvrwset.KVWrite[];
  readonly ranges?: ledger.rwset.kvrwset.RangeQueryInfo[];
}

function sets({
  reads = [],
  writes = [],
  ranges = [],
}: SetParts): { namespace: string; publicSet: KvRwSet; collections: [] }[] {
  const publicSet = new KVRWSet();
  publicSet.setReadsList(reads);
  publicSet.setWritesList(writes);
  publicSet.setRangeQueriesInfoList(ranges);
  return [{ namespace: 'cc', publicSet, collections: [] }];
}

function range(
  start: string,
  end: string,
  reads: ledger.rwset.kvrwset.KVRead[],
  exhausted = true,
): ledger.rwset.kvrwset.RangeQueryInfo {
  const info = new RangeQueryInfo();
  info.setStartKey(start);
  info.setEndKey(end);
  info.setItrExhausted(exhausted);
  const raw = new QueryReads();
  raw.setKvReadsList(reads);
  info.setRawReads(raw);
  return info;
}

/** Block 1 wrote a, b and c. */
function stateOf(): ReplayedState {
  const state = new ReplayedState();
  state.startBlock();
  state.apply(sets({ writes: [write('a', '1'), write('b', '1')] }), 1, 0);
  state.apply(sets({ writes: [write('c', '1')] }), 1, 1);
  state.startBlock();
  return state;
}

describe('block hashes', () => {
  it('hash the DER form of a header', () => {
    const header = { number: 1, previousHash: Buffer.from([1, 2]), dataHash: Buffer.from([3]) };
    expect(blockHeaderBytes(header).toString('hex')).to.equal('300a02010104020102040103');
    const edge = { number: 0x80, previousHash: Buffer.alloc(0), dataHash: Buffer.alloc(0) };
    expect(blockHeaderBytes(edge).toString('hex')).to.equal('300802020080' + '0400' + '0400');
    const zero = { number: 0, previousHash: Buffer.alloc(0), dataHash: Buffer.alloc(0) };
    expect(blockHeaderBytes(zero).toString('hex')).to.equal('3007020100' + '0400' + '0400');
  });

  it('bind the commit hash to every part', () => {
    const writes = [
      { namespace: 'cc', collection: '', key: Buffer.from('k'), value: Buffer.from('v'), transaction: 0 },
      { namespace: 'cc', collection: '', key: Buffer.from('l'), value: undefined, transaction: 1 },
    ];
    const base = commitHash(Buffer.alloc(0), Buffer.from([0, 0]), 1, writes).toString('hex');
    const changed = [
      commitHash(Buffer.from([1]), Buffer.from([0, 0]), 1, writes),
      commitHash(Buffer.alloc(0), Buffer.from([0, 11]), 1, writes),
      commitHash(Buffer.alloc(0), Buffer.from([0, 0]), 2, writes),
      commitHash(Buffer.alloc(0), Buffer.from([0, 0]), 1, writes.slice(1)),
    ];
    expect(new Set([base, ...changed.map((hash) => hash.toString('hex'))]).size).to.equal(5);
    expect(commitHash(Buffer.alloc(0), Buffer.from([0, 0]), 1, [...writes].reverse()).toString('hex')).to.equal(base);
    // The configuration (empty namespace) is left out of it.
    const withConfig = [...writes, { ...writes[0]!, namespace: '' }];
    expect(commitHash(Buffer.alloc(0), Buffer.from([0, 0]), 1, withConfig).toString('hex')).to.equal(base);
  });
});

describe('replayed versions', () => {
  it('accept what was read in its present version, and the absence of a key', () => {
    expect(stateOf().conflict(sets({ reads: [read('a', [1, 0]), read('c', [1, 1]), read('x')] }))).to.equal(undefined);
  });

  it('find an MVCC conflict: older version, deleted key, key that has come to be', () => {
    for (const stale of [read('a', [0, 0]), read('x', [1, 0]), read('a')]) {
      expect(stateOf().conflict(sets({ reads: [stale] }))).to.equal('MVCC_READ_CONFLICT');
    }
  });

  it('find a conflict with an earlier transaction of the same block, even where it deleted what was not there', () => {
    const state = stateOf();
    state.apply(sets({ writes: [write('x')] }), 2, 0);
    expect(state.conflict(sets({ reads: [read('x')] }))).to.equal('MVCC_READ_CONFLICT');
    state.startBlock();
    expect(state.conflict(sets({ reads: [read('x')] }))).to.equal(undefined);
  });

  it('find phantoms: a key more, a key fewer, another version', () => {
    const all = [read('a', [1, 0]), read('b', [1, 0]), read('c', [1, 1])];
    expect(stateOf().conflict(sets({ ranges: [range('a', 'd', all)] }))).to.equal(undefined);
    expect(stateOf().conflict(sets({ ranges: [range('a', '', all)] }))).to.equal(undefined);
    expect(stateOf().conflict(sets({ ranges: [range('a', 'c', all.slice(0, 2))] }))).to.equal(undefined);
    expect(stateOf().conflict(sets({ ranges: [range('a', 'c', all, false)] }))).to.equal(undefined);
    for (const seen of [all.slice(1), [...all, read('cc', [1, 2])], [read('a', [1, 1]), ...all.slice(1)], []]) {
      expect(stateOf().conflict(sets({ ranges: [range('a', 'd', seen)] }))).to.equal('PHANTOM_READ_CONFLICT');
    }
  });

  it('order keys by their bytes, as LevelDB does, not by UTF-16', () => {
    const state = new ReplayedState();
    state.startBlock();
    state.apply(sets({ writes: [write('p\uffff', '1'), write('p\u{10ffff}', '1')] }), 1, 0);
    state.startBlock();
    expect(state.conflict(sets({ ranges: [range('p', 'p\u{10ffff}', [read('p\uffff', [1, 0])])] }))).to.equal(
      undefined,
    );
  });

  it('hold no surprise: ranges are what sorting all keys gives', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 })),
        fc.string(),
        fc.string({ minLength: 1 }),
        (keys, start, end) => {
          const state = new ReplayedState();
          state.startBlock();
          state.apply(sets({ writes: keys.map((key) => write(key, '1')) }), 1, 0);
          state.startBlock();
          const bytes = (key: string): Buffer => Buffer.from(key);
          const inRange = keys
            .filter(
              (key) => Buffer.compare(bytes(key), bytes(start)) >= 0 && Buffer.compare(bytes(key), bytes(end)) < 0,
            )
            .sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
          const query = range(
            start,
            end,
            inRange.map((key) => read(key, [1, 0])),
          );
          return state.conflict(sets({ ranges: [query] })) === undefined;
        },
      ),
    );
  });
});

describe('Merkle summaries of large range queries', () => {
  const entries = (count: number): StateEntry[] =>
    Array.from({ length: count }, (_, i) => ({
      key: `k${String(i).padStart(4, '0')}`,
      block: 1,
      transaction: i,
      value: new Uint8Array(),
    }));
  const leaf = (some: readonly StateEntry[]): Buffer => {
    const reads = new QueryReads();
    reads.setKvReadsList(some.map((e) => read(e.key, [e.block, e.transaction])));
    return sha256(reads.serializeBinary());
  };
  const summary = (level: number, hashes: Buffer[]): ledger.rwset.kvrwset.QueryReadsMerkleSummary => {
    const value = new QueryReadsMerkleSummary();
    value.setMaxDegree(2);
    value.setMaxLevel(level);
    value.setMaxLevelHashesList(hashes);
    return value;
  };

  it('match results that give the same tree', () => {
    const five = entries(5);
    const two = [leaf(five.slice(0, 3)), leaf(five.slice(3))];
    expect(matchesMerkleSummary(five, summary(1, two))).to.equal(true);
    const nine = entries(9);
    const three = [leaf(nine.slice(0, 3)), leaf(nine.slice(3, 6)), leaf(nine.slice(6))];
    expect(matchesMerkleSummary(nine, summary(2, [sha256(...three)]))).to.equal(true);
  });

  it('do not match with a result more, fewer, or changed', () => {
    const five = entries(5);
    const expected = summary(1, [leaf(five.slice(0, 3)), leaf(five.slice(3))]);
    const changed = five.map((entry, i) => (i === 4 ? { ...entry, block: 2 } : entry));
    for (const results of [entries(6), entries(4), changed, entries(1), []]) {
      expect(matchesMerkleSummary(results, expected)).to.equal(false);
    }
  });
});
