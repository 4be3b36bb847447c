// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newRandom } from '../random.js';
import { modelError } from '../testing/errors.js';
import type { WeightedUpdate } from './rule.js';
import { AGGREGATION_RULES } from './rules.js';

const LENGTH = 50;
const ROBUST = ['median', 'trimmed-mean', 'geometric-median'] as const;

/** So many near 1 in every coordinate, then so many far away. */
function updatesOf(honest: number, hostile: number): WeightedUpdate[] {
  const random = newRandom(7);
  const near = Array.from({ length: honest }, () =>
    Float32Array.from({ length: LENGTH }, () => 1 + 0.1 * random.normal()),
  );
  const far = Array.from({ length: hostile }, () => new Float32Array(LENGTH).fill(-1_000));
  return [...near, ...far].map((parameters) => ({ parameters, weight: 1 }));
}

describe('Aggregation where updates are visible', () => {
  const base = new Float32Array(LENGTH);

  for (const name of ROBUST) {
    const rule = AGGREGATION_RULES[name];

    it(`by ${name} is not moved by a fifth of hostile vehicles, which moves the mean`, () => {
      const updates = updatesOf(16, 4);
      rule.aggregate(base, updates).forEach((value) => expect(value).to.be.within(0.7, 1.2));
      expect(AGGREGATION_RULES.fedavg.aggregate(base, updates)[0]).to.be.below(-100);
    });

    it(`by ${name} does not depend on claimed weights, gives what all agree on, and knows its input`, () => {
      const updates = updatesOf(5, 0);
      const claimed = updates.map((update, i) => ({ ...update, weight: i === 0 ? 64 : 1 }));
      expect(rule.aggregate(base, claimed)).to.deep.equal(rule.aggregate(base, updates));
      const same = Array.from({ length: 5 }, () => updates[0]!);
      rule.aggregate(base, same).forEach((value, i) => expect(value).to.be.closeTo(updates[0]!.parameters[i]!, 1e-6));
      expect(modelError(() => rule.aggregate(base, [])).code).to.equal('AGGREGATION_EMPTY');
      const short = [{ parameters: new Float32Array(3), weight: 1 }];
      expect(modelError(() => rule.aggregate(base, short)).code).to.equal('MODEL_LENGTH');
    });
  }

  it('by median and trimmed mean keeps to the order of numbers', () => {
    const updates = [5, 1, 4, 2, 90].map((value) => ({ parameters: Float32Array.of(value), weight: 1 }));
    expect(AGGREGATION_RULES.median.aggregate(Float32Array.of(0), updates)[0]).to.equal(4);
    expect(AGGREGATION_RULES.median.aggregate(Float32Array.of(0), updates.slice(0, 4))[0]).to.equal(3);
    expect(AGGREGATION_RULES['trimmed-mean'].aggregate(Float32Array.of(0), updates)[0]).to.be.closeTo(11 / 3, 1e-6);
  });
});
