// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { eventually } from '../testing/temporary.js';
import { Failover } from './failover.js';

describe('failover', () => {
  /** Three candidates, of which those in `fit` answer; `asked` tells which were tried. */
  function three(fit: readonly string[], returnAfterMs = 0) {
    const up = new Set(fit);
    const asked: string[] = [];
    const isFit = (name: string) => {
      asked.push(name);
      return Promise.resolve(up.has(name));
    };
    return { up, asked, failover: new Failover(['own', 'second', 'third'], isFit, returnAfterMs) };
  }

  it('uses the first and asks nobody as long as nobody says that it does not answer', () => {
    const { failover, asked } = three([]);
    expect([failover.current(), failover.current()]).to.deep.equal(['own', 'own']);
    expect(asked).to.deep.equal([]);
  });

  it('moves on to the next one that is fit', async () => {
    const { failover } = three(['third']);
    await failover.leave('own');
    expect(failover.current()).to.equal('third');
  });

  it('stays where no other is fit', async () => {
    const { failover } = three([]);
    await failover.leave('own');
    expect(failover.current()).to.equal('own');
  });

  it('goes back to the first when that is fit again', async () => {
    const { failover, up } = three(['second']);
    await failover.leave('own');
    expect(failover.current()).to.equal('second');
    up.add('own');
    await eventually(() => failover.current() === 'own');
  });

  it('leaves the first alone for a while', async () => {
    const { failover, up, asked } = three(['second'], 60_000);
    await failover.leave('own');
    up.add('own');
    expect(failover.current()).to.equal('second');
    expect(asked).to.deep.equal(['second']);
  });

  it('moves once for many calls that fail together, and not for one that comes late', async () => {
    const { failover, asked } = three(['second'], 60_000);
    await Promise.all([failover.leave('own'), failover.leave('own')]);
    await failover.leave('own');
    expect(failover.current()).to.equal('second');
    expect(asked).to.deep.equal(['second']);
  });
});
