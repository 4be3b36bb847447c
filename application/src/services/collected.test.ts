// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { Collected } from './collected.js';

describe('Collected calls', () => {
  /** Calls that are answered when the test says so. */
  function held(maxItems: number, maxCalls: number, lingerMs?: number) {
    const calls: { readonly items: readonly number[]; readonly answer: (error?: Error) => void }[] = [];
    const collected = new Collected<number, string>(
      (items) =>
        new Promise((resolve, reject) => {
          const answer = (error?: Error): void => {
            if (error === undefined) {
              resolve(items.map(String));
            } else {
              reject(error);
            }
          };
          calls.push({ items, answer });
        }),
      { maxItems, maxCalls, ...(lingerMs === undefined ? {} : { lingerMs }) },
    );
    return { collected, calls, itemsOf: () => calls.map(({ items }) => items) };
  }
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  it('ask at once for what comes in one turn, and for what comes meanwhile with the next call', async () => {
    const { collected, calls, itemsOf } = held(10, 4);
    const first = [1, 2].map((n) => collected.find(n));
    await turn();
    const later = [collected.find(3)];
    await turn();
    later.push(collected.find(4));
    await turn();
    expect(itemsOf()).to.deep.equal([[1, 2]]);
    calls[0]!.answer();
    expect(await Promise.all(first)).to.deep.equal(['1', '2']);
    expect(itemsOf()).to.deep.equal([
      [1, 2],
      [3, 4],
    ]);
    calls[1]!.answer();
    expect(await Promise.all(later)).to.deep.equal(['3', '4']);
  });

  it('wait for no call that hangs, as long as another may be begun', async () => {
    const { collected, calls, itemsOf } = held(10, 2, 1);
    const hanging = collected.find(1);
    await turn();
    const later = collected.find(2);
    while (calls.length < 2) {
      await turn();
    }
    expect(itemsOf()).to.deep.equal([[1], [2]]);
    calls[1]!.answer();
    expect(await later).to.equal('2');
    calls[0]!.answer();
    expect(await hanging).to.equal('1');
  });

  it('ask for no more items than a call may, with full calls side by side up to their limit', async () => {
    const { collected, calls, itemsOf } = held(2, 2);
    const all = [1, 2, 3, 4, 5].map((n) => collected.find(n));
    await turn();
    expect(itemsOf()).to.deep.equal([
      [1, 2],
      [3, 4],
    ]);
    calls[0]!.answer();
    await all[0];
    expect(calls).to.have.length(2);
    calls[1]!.answer();
    await all[2];
    calls[2]!.answer();
    expect(await Promise.all(all)).to.deep.equal(['1', '2', '3', '4', '5']);
  });

  it('fail those that a failed call was for, and go on with the others', async () => {
    const { collected, calls } = held(1, 1);
    const [first, second] = [1, 2].map((n) => collected.find(n));
    await turn();
    calls[0]!.answer(new Error('down'));
    expect(await first!.catch((error: unknown) => (error as Error).message)).to.equal('down');
    calls[1]!.answer();
    expect(await second).to.equal('2');
  });
});
