// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newRandom } from '../../random.js';
import { evenOut } from '../../secure/weights/even-out.js';
import { commonDirection, honestUpdate, inputOf } from '../testing/cohort.js';
import { decideWeights, type Decided, type SumTerms } from './decide.js';
import type { WeightInput, WeightRule } from './rule.js';
import { WEIGHT_RULES } from './rules.js';

const VEHICLES = 12;

/** Honest updates of vehicles that earlier rounds left so much on; the first one's is so many times as long. */
function inputWith(suspicionMilli: readonly number[], factor = 1): WeightInput {
  const random = newRandom(1);
  const common = commonDirection(random);
  const updates = suspicionMilli.map((_, i) =>
    honestUpdate(random, common).map((value) => (i === 0 ? factor : 1) * value),
  );
  const input = inputOf(random, common, updates);
  return { ...input, standing: suspicionMilli.map((milli) => ({ suspicionMilli: milli })) };
}

function decided(input: WeightInput, minimum: number, rule: WeightRule = WEIGHT_RULES['capped-trust']): Decided {
  const even: SumTerms['even'] = (ruled) =>
    evenOut(
      ruled.map((weight, i) => ({ classWeight: input.classWeights[i]!, weight })),
      minimum,
    );
  const shards = [input.classWeights.map((_, i) => i)];
  return decideWeights(rule, input, { shards, minimum, even });
}

const suspected = (count: number, milli = (i: number): number => 20_000 + i): number[] =>
  Array.from({ length: VEHICLES }, (_, i) => (i < count ? milli(i) : 0));

describe('Weights as they are used', () => {
  it('are those of the rule where enough are left', () => {
    const { weights, reasons, isLengthsOnly } = decided(inputWith(suspected(4)), 4);
    expect(isLengthsOnly).to.equal(false);
    expect(weights.slice(0, 4)).to.deep.equal(new Array(4).fill(0));
    expect(reasons.slice(0, 4)).to.deep.equal(new Array(4).fill('DIRECTION_OPPOSED'));
    expect(weights.filter((weight) => weight === 64)).to.have.length.at.least(4);
  });

  it('bound lengths alone where too few are left, and still count nobody who is distrusted', () => {
    const strict: WeightRule = {
      ...WEIGHT_RULES['capped-trust'],
      weigh: ({ classWeights }) => ({
        weights: classWeights.map((weight, i) => (i < 10 ? 0 : weight)),
        reasons: classWeights.map((_, i) => (i < 10 ? 'TRUST_LOW' : undefined)),
      }),
    };
    const { weights, reasons, isLengthsOnly } = decided(inputWith(suspected(4)), 4, strict);
    expect(isLengthsOnly).to.equal(true);
    expect(weights).to.deep.equal([...new Array<number>(4).fill(0), ...new Array<number>(8).fill(64)]);
    expect(reasons).to.deep.equal([
      ...new Array<string>(4).fill('DISTRUSTED'),
      ...new Array<undefined>(8).fill(undefined),
    ]);
  });

  it('take back the least suspected, and no more of them than the minimum asks for', () => {
    const { weights, reasons, isLengthsOnly } = decided(inputWith(suspected(10)), 4);
    expect(isLengthsOnly).to.equal(true);
    expect(weights.flatMap((weight, i) => (weight > 0 ? [i] : []))).to.deep.equal([0, 1, 10, 11]);
    expect(reasons.filter((reason) => reason === 'DISTRUSTED')).to.have.length(8);
  });

  it('never count a vehicle that is out of range', () => {
    const { weights, reasons } = decided(inputWith(suspected(VEHICLES), 1e6), VEHICLES);
    expect(weights).to.deep.equal(new Array(VEHICLES).fill(0));
    expect(reasons[0]).to.equal('RANGE_EXCEEDED');
  });

  it('remain those of a rule without reference, however few it leaves', () => {
    const { isLengthsOnly, weights } = decided(inputWith(suspected(0), 1e6), VEHICLES, WEIGHT_RULES['norm-scaling']);
    expect(isLengthsOnly).to.equal(false);
    expect(weights).to.deep.equal(new Array(VEHICLES).fill(0));
  });
});
