// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { clockResult, type Clocks } from './clock.js';

const NOW_MS = Date.UTC(2026, 5, 1);
const RIGHT: Clocks = {
  nowMs: NOW_MS,
  stateCreatedMs: NOW_MS - 1_000,
  newestBlockMs: NOW_MS - 1_000,
  others: [],
  isSynchronised: undefined,
};
const codesOf = (change: Partial<Clocks>): string[] =>
  (clockResult({ ...RIGHT, ...change }).problems ?? []).map(({ code }) => code);
const ahead = (seconds: number) => [{ name: 'the CA of grid', theirMs: NOW_MS + seconds * 1_000, ourMs: NOW_MS }];

describe('What doctor says of clocks', () => {
  it('is content with clocks that agree to a few seconds', () => {
    expect(codesOf({})).to.deep.equal([]);
    expect(codesOf({ others: ahead(2), isSynchronised: true })).to.deep.equal([]);
    expect(codesOf({ others: ahead(-2) })).to.deep.equal([]);
  });

  it('tells drift from a skew that transactions do not tolerate', () => {
    expect(codesOf({ others: ahead(10) })).to.deep.equal(['CLOCK_DRIFT']);
    expect(codesOf({ others: ahead(-300) })).to.deep.equal(['CLOCK_SKEW']);
    expect(clockResult({ ...RIGHT, others: ahead(-300) }).problems?.[0]?.found).to.equal(
      'the CA of grid is 300 s behind this clock',
    );
  });

  it('sees that the clock was set back by what is dated in the future', () => {
    expect(codesOf({ stateCreatedMs: NOW_MS + 3_600_000 })).to.deep.equal(['CLOCK_SET_BACK']);
    expect(codesOf({ newestBlockMs: NOW_MS + 3_600_000 })).to.deep.equal(['CLOCK_SET_BACK']);
  });

  it('allows a client to be ahead as far as peers do', () => {
    expect(codesOf({ newestBlockMs: NOW_MS + 60_000 })).to.deep.equal([]);
  });

  it('warns where the system says that nothing keeps its clock right', () => {
    expect(codesOf({ isSynchronised: false })).to.deep.equal(['CLOCK_UNSYNCHRONISED']);
  });
});
