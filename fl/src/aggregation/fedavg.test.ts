// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { modelError } from '../testing/errors.js';
import { fedAvg } from './fedavg.js';

const LENGTH = 5;
const parameters = fc.float32Array({ minLength: LENGTH, maxLength: LENGTH, noNaN: true, min: -1000, max: 1000 });
const weight = fc.integer({ min: 1, max: 64 });
const updates = fc.array(fc.record({ parameters, weight }), { minLength: 1, maxLength: 30 });
const base = new Float32Array(LENGTH);

describe('Federated averaging', () => {
  it('is the weighted mean', () => {
    const result = fedAvg.aggregate(new Float32Array(2), [
      { parameters: Float32Array.of(1, 10), weight: 1 },
      { parameters: Float32Array.of(4, -2), weight: 3 },
    ]);
    expect([...result]).to.deep.equal([3.25, 1]);
  });

  it('of equal updates is that update, bit by bit', () => {
    fc.assert(
      fc.property(parameters, fc.array(weight, { minLength: 1, maxLength: 100 }), (p, weights) => {
        const result = fedAvg.aggregate(
          base,
          weights.map((w) => ({ parameters: p, weight: w })),
        );
        result.forEach((value, i) => expect(value === p[i]).to.equal(true));
      }),
    );
  });

  it('lies between the least and the greatest update', () => {
    fc.assert(
      fc.property(updates, (list) => {
        fedAvg.aggregate(base, list).forEach((value, i) => {
          const column = list.map((u) => u.parameters[i]!);
          expect(value).to.be.within(Math.min(...column), Math.max(...column));
        });
      }),
    );
  });

  it('counts an update of weight w as w updates', () => {
    fc.assert(
      fc.property(updates, (list) => {
        const repeated = list.flatMap((u) => Array.from({ length: u.weight }, () => ({ ...u, weight: 1 })));
        const one = fedAvg.aggregate(base, list);
        fedAvg.aggregate(base, repeated).forEach((value, i) => expect(value).to.be.closeTo(one[i]!, 1e-4));
      }),
      { numRuns: 30 },
    );
  });

  it('does not depend on the order beyond rounding, nor on a common factor of the weights', () => {
    fc.assert(
      fc.property(updates, (list) => {
        const one = fedAvg.aggregate(base, list);
        const reversed = fedAvg.aggregate(base, list.toReversed());
        const doubled = fedAvg.aggregate(
          base,
          list.map((u) => ({ ...u, weight: 2 * u.weight })),
        );
        expect(doubled).to.deep.equal(one);
        reversed.forEach((value, i) => expect(value).to.be.closeTo(one[i]!, 1e-4));
      }),
    );
  });

  it('gives the same bits for the same order and changes nothing it was given', () => {
    fc.assert(
      fc.property(updates, (list) => {
        const copies = list.map((u) => u.parameters.slice());
        expect(fedAvg.aggregate(base, list)).to.deep.equal(fedAvg.aggregate(base, list));
        list.forEach((u, i) => expect(u.parameters).to.deep.equal(copies[i]));
      }),
    );
  });

  it('refuses what it cannot average, by name', () => {
    const good = { parameters: new Float32Array(LENGTH), weight: 1 };
    const code = (...list: Parameters<typeof fedAvg.aggregate>[1]): string =>
      modelError(() => fedAvg.aggregate(base, list)).code;
    expect(code()).to.equal('AGGREGATION_EMPTY');
    for (const bad of [0, -1, 0.5, Number.NaN, Infinity]) {
      expect(code(good, { ...good, weight: bad })).to.equal('AGGREGATION_WEIGHT');
    }
    expect(code({ ...good, weight: 2 ** 29 }, good)).to.equal('AGGREGATION_WEIGHT');
    expect(code(good, { ...good, parameters: new Float32Array(LENGTH - 1) })).to.equal('MODEL_LENGTH');
    for (const bad of [Number.NaN, Infinity]) {
      expect(code(good, { ...good, parameters: new Float32Array(LENGTH).fill(bad) })).to.equal('MODEL_NOT_FINITE');
    }
  });
});
