// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { Normaliser } from './normalise.js';

describe('Normalising answers', () => {
  const normaliser = new Normaliser('a1b2c3d4e5f6');

  for (const [what, text, expected] of [
    ['keys of a run', 'a1b2c3d4e5f6-key', '<run>-key'],
    ['transaction ids', `transaction ${'0a'.repeat(32)}: no`, 'transaction <hash>: no'],
    ['creators', `Creator [${'0a'.repeat(400)}]`, 'Creator [<creator>]'],
    ['addresses', 'dial tcp 127.0.0.1:7051 or localhost:40001', 'dial tcp <address> or <address>'],
    ['times', 'at 2026-01-02T03:04:05.678Z, not 2026-01-02 03:04:05 +0000 UTC', 'at <time>, not <time>'],
    ['blocks', 'version = {BlockNum: 17, TxNum: 0}', 'version = {BlockNum: <number>, TxNum: 0}'],
    ['lengths', 'larger than max (105907190 vs. 104857600)', 'larger than max (<bytes> vs. 104857600)'],
    ['what stays', 'chaincode response 500, Expected 2 parameters', 'chaincode response 500, Expected 2 parameters'],
  ] as const) {
    it(`replaces ${what}`, () => {
      expect(normaliser.text(text)).to.equal(expected);
    });
  }

  it('works on every text of a value, its field names too', () => {
    expect(normaliser.json({ 'a1b2c3d4e5f6-x': [{ y: 'a1b2c3d4e5f6' }, 1, null] })).to.deep.equal({
      '<run>-x': [{ y: '<run>' }, 1, null],
    });
  });

  it('takes no error for an answer that is none of the network’s', () => {
    const bug = new TypeError('x is not a function');
    expect(() => normaliser.error(bug)).to.throw(bug);
  });
});
