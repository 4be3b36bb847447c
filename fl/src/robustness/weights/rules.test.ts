// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newRandom, type Random } from '../../random.js';
import { printedRandom } from '../../secure/testing/setup.js';
import { secureError } from '../../testing/errors.js';
import { estimateNorm, median } from '../evidence.js';
import { commonDirection, honestUpdate, inputOf, permuted } from '../testing/cohort.js';
import type { WeightInput } from './rule.js';
import { WEIGHT_RULES } from './rules.js';

const VEHICLES = 20;
const HOSTILE = 4;

/** Four hostile vehicles, then sixteen honest ones, over some earlier rounds and this one. */
function cohort(random: Random, hostile: (common: Float32Array, own: Random) => Float32Array, rounds = 4): WeightInput {
  const common = commonDirection(random);
  const round = (): Float32Array[] =>
    Array.from({ length: VEHICLES }, (_, i) => (i < HOSTILE ? hostile(common, random) : honestUpdate(random, common)));
  const past = Array.from({ length: rounds - 1 }, round);
  return inputOf(random, common, round(), past);
}

const reversed = (common: Float32Array, random: Random): Float32Array =>
  honestUpdate(random, common).map((value) => -value);

describe('Every rule', () => {
  for (const rule of Object.values(WEIGHT_RULES)) {
    it(`${rule.name} gives whole weights from 0 to the class's, a reason for each that is less, the same each time`, () => {
      const random = printedRandom(rule.name);
      for (let trial = 0; trial < 10; trial++) {
        const input = {
          ...cohort(random, reversed),
          classWeights: Array.from({ length: VEHICLES }, () => 4 + random.below(61)),
          standing: Array.from({ length: VEHICLES }, () => ({ suspicionMilli: random.below(4_000) })),
        };
        const { weights, reasons } = rule.weigh(input);
        weights.forEach((weight, i) => {
          expect(weight).to.be.within(0, input.classWeights[i]!);
          expect(Number.isInteger(weight)).to.equal(true);
          expect(weight < input.classWeights[i]!, `${i}: ${weight}`).to.equal(reasons[i] !== undefined);
        });
        expect(rule.weigh(input)).to.deep.equal({ weights, reasons });
      }
    });

    it(`${rule.name} does not care in which order vehicles come`, () => {
      const random = printedRandom(rule.name);
      for (let trial = 0; trial < 10; trial++) {
        const input = cohort(random, reversed);
        const order = Array.from({ length: VEHICLES }, (_, i) => i);
        order.forEach((_, i) => {
          const j = random.below(VEHICLES);
          [order[i], order[j]] = [order[j]!, order[i]!];
        });
        const { weights, reasons } = rule.weigh(input);
        expect(rule.weigh(permuted(input, order))).to.deep.equal({
          weights: order.map((vehicle) => weights[vehicle]),
          reasons: order.map((vehicle) => reasons[vehicle]),
        });
      }
    });

    it(`${rule.name} refuses input of other shapes`, () => {
      const input = cohort(newRandom(1), reversed);
      const refused = (changed: WeightInput): string => secureError(() => rule.weigh(changed)).code;
      const reference = { products: new Int32Array(3), norm: 1 };
      expect(refused({ ...input, reference })).to.equal('SECURE_OPTION_INVALID');
      expect(refused({ ...input, past: [[undefined]] })).to.equal('SECURE_OPTION_INVALID');
      expect(refused({ ...input, standing: [] })).to.equal('SECURE_OPTION_INVALID');
      const { reference: _, ...without } = input;
      const call = (): unknown => rule.weigh(without);
      expect(rule.needsReference ? secureError(call).code : 'none').to.equal(
        rule.needsReference ? 'SECURE_OPTION_INVALID' : 'none',
      );
    });
  }
});

describe('Against updates that point the other way', () => {
  for (const name of ['trust', 'capped-trust', 'clustering'] as const) {
    it(`${name} gives hostile vehicles less than a tenth of the weight of honest ones`, () => {
      const { weights } = WEIGHT_RULES[name].weigh(cohort(newRandom(3), reversed, 8));
      const mean = (some: readonly number[]): number => some.reduce((a, b) => a + b, 0) / some.length;
      expect(mean(weights.slice(0, HOSTILE))).to.be.below(0.1 * mean(weights.slice(HOSTILE)));
    });
  }
});

describe('Multi-Krum', () => {
  it('leaves out a quarter, among them those that lie apart', () => {
    const apart = (common: Float32Array, random: Random): Float32Array => reversed(common, random).map((x) => 4 * x);
    const { weights, reasons } = WEIGHT_RULES['multi-krum'].weigh(cohort(newRandom(3), apart));
    expect(reasons.slice(0, HOSTILE)).to.deep.equal(new Array(HOSTILE).fill('OUTVOTED'));
    expect(weights.filter((weight) => weight === 64)).to.have.length(VEHICLES - 5);
  });
});

describe('The default rule', () => {
  const { 'capped-trust': rule } = WEIGHT_RULES;

  it('lets all honest vehicles count in full', () => {
    const { weights } = rule.weigh(cohort(newRandom(4), (common, random) => honestUpdate(random, common)));
    expect(weights.filter((weight) => weight === 64).length).to.be.at.least(VEHICLES - 1);
  });

  it('leaves an honest vehicle its round, however long eight projections make its update look', () => {
    const random = newRandom(10);
    const draws = Array.from({ length: 20 }, () =>
      rule.weigh(cohort(random, (common, own) => honestUpdate(own, common), 1)),
    );
    const less = draws.flatMap(({ weights }) => weights.filter((weight) => weight < 64));
    expect(less.length).to.be.at.most(4);
  });

  it('shares one weight among colluders who send the same, whatever they send', () => {
    const input = cohort(newRandom(5), (common) => common.map((value) => 0.6 * value));
    const { weights, reasons } = rule.weigh(input);
    weights.slice(0, HOSTILE).forEach((weight) => expect(weight).to.be.at.most(16));
    expect(reasons.slice(0, HOSTILE)).to.deep.equal(new Array(HOSTILE).fill('SIMILAR'));
    expect(reasons.slice(HOSTILE)).not.to.include('SIMILAR');
  });

  it('sees colluders who hide behind noise once a few rounds have passed', () => {
    const aim = commonDirection(newRandom(99));
    const hidden = (common: Float32Array, random: Random): Float32Array => {
      const noise = commonDirection(random);
      return common.map((value, i) => 0.3 * value + 0.5 * aim[i]! + 0.35 * noise[i]!);
    };
    const { reasons } = rule.weigh(cohort(newRandom(6), hidden, 10));
    expect(reasons.slice(0, HOSTILE)).to.deep.equal(new Array(HOSTILE).fill('SIMILAR'));
  });

  it('scales long updates down, and does not let them gain by pointing where the reference does', () => {
    const { weights, reasons } = rule.weigh(
      cohort(newRandom(7), (common, random) => honestUpdate(random, common, 2.4)),
    );
    weights.slice(0, HOSTILE).forEach((weight) => expect(weight).to.be.below(40));
    reasons.slice(0, HOSTILE).forEach((reason) => expect(reason).to.be.a('string'));
  });

  it('scales from twice the median on', () => {
    const input = cohort(newRandom(7), (common, random) => honestUpdate(random, common));
    const usual = median(input.projections.map(estimateNorm));
    // As long as eight projections can tell; products as they are, and so less along the reference.
    const lengths = [1, 1.9, 2.5];
    const projections = input.projections.map((values, i) => {
      const length = lengths[i];
      return length === undefined ? values : values.map((value) => (value * length * usual) / estimateNorm(values));
    });
    const { weights, reasons } = rule.weigh({ ...input, projections });
    expect(reasons.slice(0, lengths.length)).to.deep.equal([undefined, undefined, 'NORM_SCALED']);
    expect(weights[2]).to.be.closeTo((64 * 2) / 2.5, 3);
  });

  it('remembers: what earlier rounds left on a vehicle takes its weight even where this round says nothing', () => {
    const input = cohort(newRandom(8), (common, random) => honestUpdate(random, common));
    const { products, norm } = input.reference!;
    // A round without a word: nobody goes along the reference.
    const reference = { norm, products: products.map(() => 0) };
    const left = [0, 900, 1_750, 2_500, 9_000];
    const standing = input.classWeights.map((_, i) => ({ suspicionMilli: left[i] ?? 0 }));
    const { weights, reasons } = rule.weigh({ ...input, reference, standing });
    expect(weights.slice(0, left.length)).to.deep.equal([64, 64, 32, 0, 0]);
    expect(reasons.slice(2, left.length)).to.deep.equal(['TRUST_LOW', 'DIRECTION_OPPOSED', 'DIRECTION_OPPOSED']);
  });
});
