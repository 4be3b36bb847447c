// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { StatementsError } from './statements.js';

describe('StatementsError', () => {
  const retryAfter = (...leftMs: number[]): number | undefined => {
    const refusals = leftMs.map((left) => ({
      mspId: 'CityMSP',
      code: 'GRACE_NOT_OVER',
      detail: 'early',
      leftMs: left,
    }));
    return new StatementsError('it', { signed: 0, needed: 2, members: 3 }, refusals).retryAfterMs;
  };

  it('comes back when a majority agrees, but never so soon that asking becomes a busy loop', () => {
    expect(retryAfter(900, 400, 3_000)).to.equal(900);
    expect(retryAfter(0, 1, 2)).to.equal(250);
    expect(retryAfter(400), 'time alone brings no majority').to.equal(undefined);
  });
});
