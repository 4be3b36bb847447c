// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { closeAll } from './closing.js';

describe('Closing all', () => {
  it('tries every one, then reports the first error', async () => {
    const tried: string[] = [];
    const closer = (name: string, fails: boolean) => (): Promise<void> => {
      tried.push(name);
      return fails ? Promise.reject(new Error(name)) : Promise.resolve();
    };
    const outcome = await closeAll([
      closer('a', false),
      closer('b', true),
      closer('c', true),
      closer('d', false),
    ]).catch((error: unknown) => error);
    expect(outcome).to.have.property('message', 'b');
    expect(tried).to.deep.equal(['a', 'b', 'c', 'd']);
    await closeAll([]);
  });
});
