// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { componentHolders, coveredUpdates } from './cohort';
import { componentsOf, decodeBitmap, encodeBitmap, shardsOf } from './secure';

const UPDATES = ['a', 'b', 'c'].map((vehicleId) => ({ vehicleId }));

describe('The cohort that holdings and receipts make', () => {
  it('has the updates that every aggregator holds', () => {
    const holdings = [
      { mspId: 'A', held: [true, true, false] },
      { mspId: 'B', held: [true, false, true] },
    ];
    expect(coveredUpdates(UPDATES, holdings, [])).to.deep.equal({ covered: [UPDATES[0]], contradicted: [] });
  });

  it('has an update too whose receipts contradict whoever does not hold it, and names them', () => {
    const holdings = [
      { mspId: 'A', held: [true, false, false] },
      { mspId: 'B', held: [true, true, false] },
    ];
    const receipts = [
      { vehicleId: 'b', mspId: 'A' },
      { vehicleId: 'c', mspId: 'B' },
    ];
    const { covered, contradicted } = coveredUpdates(UPDATES, holdings, receipts);
    expect(covered).to.deep.equal([UPDATES[0], UPDATES[1]]);
    expect(contradicted, 'B too gave a receipt for what it says not to hold').to.deep.equal(['A', 'B']);
  });
});

describe('Components of replicated sharing', () => {
  it('are one for each set of t that lacks it, and any t + 1 have all of them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 2 }), (t, more) => {
        const n = Math.min(7, 2 * t + 1 + more);
        const components = componentsOf(n, t);
        expect(new Set(components.map(String)).size).to.equal(components.length);
        components.forEach((holders) => expect(holders).to.have.length(n - t));
        const some = Array.from({ length: t + 1 }, (_, index) => (index * 2) % n);
        expect(components.every((holders) => holders.some((holder) => some.includes(holder)))).to.equal(true);
      }),
    );
    const holders = componentHolders({ aggregators: ['A', 'B', 'C'], threshold: 1 });
    expect(holders).to.deep.equal([
      ['B', 'C'],
      ['A', 'C'],
      ['A', 'B'],
    ]);
  });
});

describe('Bitmaps', () => {
  it('come back from their one text, and from no other length', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 40 }), (bits) => {
        const text = encodeBitmap(bits);
        expect(decodeBitmap(text, bits.length)).to.deep.equal(bits);
        expect(decodeBitmap(`${text}AAAA`, bits.length)).to.equal(undefined);
        expect(decodeBitmap(text, bits.length + 8)).to.equal(undefined);
      }),
    );
  });
});

describe('Shards', () => {
  it('hold every vehicle once and are of nearly equal size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 20 }), fc.string(), (size, most, seed) => {
        const ids = Array.from({ length: size }, (_, index) => `v-${index}`);
        const shards = shardsOf(ids, seed, most);
        const sizes = shards.map(({ length }) => length);
        expect(shards.flat().sort((a, b) => a - b)).to.deep.equal(ids.map((_, index) => index));
        expect(shards).to.have.length(Math.ceil(size / most));
        expect(Math.max(...sizes)).to.be.at.most(most);
        expect(Math.max(...sizes) - Math.min(...sizes)).to.be.at.most(1);
      }),
    );
  });
});
