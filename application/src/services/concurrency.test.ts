// SPDX-License-Identifier: Apache-2.0
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { newLimiter } from './concurrency.js';

describe('limiter', () => {
  it('runs no more at a time than it may, in order, whatever fails', async () => {
    const limited = newLimiter(3);
    const started: number[] = [];
    let running = 0;
    let most = 0;
    const work = Array.from({ length: 20 }, (_, i) =>
      limited(async () => {
        started.push(i);
        running += 1;
        most = Math.max(most, running);
        await turn();
        running -= 1;
        if (i % 4 === 0) {
          throw new Error(String(i));
        }
        return i;
      }),
    );
    const settled = await Promise.allSettled(work);
    expect(settled.map(({ status }) => status === 'fulfilled')).to.deep.equal(settled.map((_, i) => i % 4 !== 0));
    expect(started).to.deep.equal(settled.map((_, i) => i));
    expect(most).to.equal(3);
  });
});
