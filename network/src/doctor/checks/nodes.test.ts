// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { heightsResult } from './heights.js';
import { restartProblem } from './nodes.js';
import { quorumOf } from './ordering.js';

const HOUR_MS = 3_600_000;

describe('What doctor says of nodes', () => {
  const codeOf = (restarts: number, runningMs: number): string | undefined =>
    restartProblem({ name: 'peer.grid', restarts }, runningMs)?.code;

  it('tells a restart from a loop by how often it happens', () => {
    expect(codeOf(0, HOUR_MS)).to.equal(undefined);
    expect(codeOf(1, 60_000)).to.equal('NODE_RESTARTED');
    expect(codeOf(10, HOUR_MS)).to.equal('NODE_RESTART_LOOP');
    expect(codeOf(10, 1_000 * HOUR_MS)).to.equal('NODE_RESTARTED');
  });

  it('knows how many orderers consensus needs', () => {
    expect([4, 5, 6, 7, 10].map((n) => quorumOf('bft', n))).to.deep.equal([3, 4, 4, 5, 7]);
    expect([1, 3, 4, 5].map((n) => quorumOf('raft', n))).to.deep.equal([1, 2, 3, 3]);
  });

  it('gives a node that just lacks a block the time to get it', async () => {
    const answers = [
      [
        { node: 'a', height: 7 },
        { node: 'b', height: 6 },
      ],
      [
        { node: 'a', height: 9 },
        { node: 'b', height: 7 },
      ],
    ];
    const result = await heightsResult(() => Promise.resolve(answers.shift() ?? []), 1_000);
    expect(result.problems).to.deep.equal([]);
  });

  it('names one that stays behind', async () => {
    const heights = [
      { node: 'peer.grid', height: 7 },
      { node: 'peer.city', height: 3 },
    ];
    const { problems } = await heightsResult(() => Promise.resolve(heights), 50);
    expect(problems).to.deep.equal([{ code: 'NODE_BEHIND', found: 'peer.city has 3 blocks, others had 7' }]);
  });
});
