// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { setImmediate as turn } from 'node:timers/promises';
import { rejection } from '../testing/temporary.js';
import { InFlightLimit } from './in-flight.js';

describe('limit of calls in flight', () => {
  it('lets so many run at once, the others in their order', async () => {
    const limit = new InFlightLimit(3);
    const started: number[] = [];
    let running = 0;
    let most = 0;
    const call = (id: number) => async () => {
      started.push(id);
      most = Math.max(most, ++running);
      await turn();
      running -= 1;
    };
    await Promise.all(Array.from({ length: 20 }, (_, id) => limit.run(call(id))));
    expect(most).to.equal(3);
    expect(started).to.deep.equal(Array.from({ length: 20 }, (_, id) => id));
  });

  it('gives the place of a failed call away', async () => {
    const limit = new InFlightLimit(1);
    const failed = limit.run(() => Promise.reject(new Error('down')));
    const next = limit.run(() => Promise.resolve('done'));
    expect(await rejection(failed)).to.be.instanceOf(Error);
    expect(await next).to.equal('done');
    expect(await limit.run(() => Promise.resolve('again'))).to.equal('again');
  });
});
