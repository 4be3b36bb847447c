// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { coalesced } from './coalesced.js';

describe('A coalesced task', () => {
  it('runs never beside itself, and for every caller once more after the call', async () => {
    let runs = 0;
    let running = 0;
    let most = 0;
    const task = coalesced(async () => {
      running++;
      most = Math.max(most, running);
      await Promise.resolve();
      runs++;
      running--;
    });
    const runsSeen = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const before = runs;
        await task();
        return runs - before;
      }),
    );
    expect(most).to.equal(1);
    expect(runs).to.equal(2);
    expect(Math.min(...runsSeen)).to.be.greaterThan(0);
  });

  it('tells its callers when a run failed, and runs again for the next', async () => {
    let attempts = 0;
    const task = coalesced(async () => {
      attempts++;
      await Promise.resolve();
      if (attempts === 1) {
        throw new Error('first');
      }
    });
    const [first, second] = await Promise.allSettled([task(), task()]);
    expect([first.status, second.status]).to.deep.equal(['rejected', 'fulfilled']);
  });
});
