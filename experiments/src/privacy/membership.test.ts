// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { encodeCars, generateCarTable, initialParameters, PRICE_LAYERS, PRICE_TRAINING, trainLocal } from '@sev/fl';
import { areaUnderCurve, membershipAuc } from './membership.js';

describe('The area under the curve', () => {
  it('is what pairs won, with half for a draw, make of all pairs', () => {
    expect(areaUnderCurve([2, 3], [0, 1])).to.equal(1);
    expect(areaUnderCurve([0, 1], [2, 3])).to.equal(0);
    expect(areaUnderCurve([1, 1], [1, 1, 1])).to.equal(0.5);
    expect(areaUnderCurve([1, 3], [2])).to.equal(0.5);
    // Won: 3 of 3, 1½ of 3, 0 of 3.
    expect(areaUnderCurve([5, 2, 0], [1, 2, 4])).to.be.closeTo(4.5 / 9, 1e-12);
    expect(() => areaUnderCurve([], [1])).to.throw(RangeError);
  });
});

describe('Membership inference by the loss', () => {
  const members = encodeCars(generateCarTable({ rows: 100, seed: 1 }).rows);
  const others = encodeCars(generateCarTable({ rows: 400, seed: 2 }).rows);
  const start = initialParameters(PRICE_LAYERS, 1);

  it('tells nothing of a model that has seen neither', () => {
    expect(membershipAuc(start, PRICE_LAYERS, { members, others })).to.be.closeTo(0.5, 0.1);
  });

  it('tells members of a model that has learnt them by heart', () => {
    const options = { ...PRICE_TRAINING, epochs: 400, seed: 1 };
    const learnt = trainLocal(start, PRICE_LAYERS, members, options);
    expect(membershipAuc(learnt, PRICE_LAYERS, { members, others })).to.be.above(0.8);
  });
});
