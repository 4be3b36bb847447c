// SPDX-License-Identifier: Apache-2.0
import { maxWeightOf, secureTermsProblem, type SecureTerms, type Task } from '@sev/chaincode/api';
import { componentSum, ringZeros, roundedBound, totalOf } from '@sev/fl';
import { expect } from 'chai';
import fc from 'fast-check';
import { bedTask } from '../testing/secure-bed-consortium.js';

/** A task with these terms, of one weight. */
function taskOf(terms: Partial<SecureTerms>, weight: number): Task {
  const { task } = bedTask({ terms });
  return { ...task, aggregation: { ...task.aggregation, weightClasses: [{ minSamples: 2, weight }] } };
}

describe('Terms that the contract takes', () => {
  const terms = fc.record({
    fractionBits: fc.integer({ min: 1, max: 14 }),
    clipMilli: fc.integer({ min: 1, max: 8_000 }),
    shardSize: fc.integer({ min: 1, max: 1_024 }),
    ringBits: fc.constantFrom<16 | 32>(16, 32),
  });

  it('never let a sum wrap, with every coordinate of every vehicle at the edge of its range', () => {
    fc.assert(
      fc.property(terms, fc.integer({ min: 4, max: 64 }), (drawn, weight) => {
        const task = taskOf(drawn.ringBits === 16 ? { ...drawn, projections: 0 } : drawn, weight);
        fc.pre(secureTermsProblem(task) === undefined);
        const { fractionBits, clipMilli, shardSize, ringBits } = drawn;
        const edge = Math.floor((2 * clipMilli * 2 ** fractionBits) / 1_000);
        const values = ringZeros(2, ringBits);
        values.set([edge, -edge]);
        const reports = Array.from({ length: shardSize }, () => ({ values, weight }));
        const total = edge * maxWeightOf(task) * shardSize;
        expect([...totalOf([componentSum(reports, 2, ringBits)])]).to.deep.equal([total, -total]);
      }),
    );
  });

  it('keep what rounding makes of an honest update within twice the clip, and refuse no others for it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 4_000 }), (fractionBits, clipMilli) => {
        const task = taskOf({ fractionBits, clipMilli, shardSize: 1 }, 4);
        const clip = clipMilli / 1_000;
        const range = 2 * clip * 2 ** fractionBits;
        const { problem = '' } = secureTermsProblem(task) ?? {};
        const bound = roundedBound({ fractionBits, clip }, task.model.parameters);
        // √d is rounded up to a whole number in the contract.
        fc.pre(bound > range || bound < range - 1);
        expect(problem.startsWith('rounding')).to.equal(bound > range);
      }),
    );
  });
});
