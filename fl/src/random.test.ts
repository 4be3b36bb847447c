// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { deriveSeed, newRandom, randomFromState } from './random.js';

describe('The random generator', () => {
  it('repeats itself for a seed and differs between seeds', () => {
    const draw = (seed: number): number[] => {
      const random = newRandom(seed);
      return Array.from({ length: 20 }, () => random.uint32());
    };
    expect(draw(1)).to.deep.equal(draw(1));
    expect(draw(1)).not.to.deep.equal(draw(2));
    expect(draw(0)).not.to.deep.equal(draw(2 ** 32 - 1));
  });

  it('gives these very numbers on every machine', () => {
    const random = newRandom(42);
    expect(Array.from({ length: 4 }, () => random.uint32())).to.deep.equal([
      2837322924, 544945897, 479756282, 3500138142,
    ]);
    expect(deriveSeed(1, 'round', 2)).to.equal(3990031773);
  });

  it('is xoshiro128** as its authors publish it', () => {
    const random = randomFromState([1, 2, 3, 4]);
    expect(Array.from({ length: 5 }, () => random.uint32())).to.deep.equal([11520, 0, 5927040, 70819200, 2031721883]);
  });

  it('draws below n without leaving any number out', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 20 }), (seed, n) => {
        const random = newRandom(seed);
        const seen = new Set(Array.from({ length: 60 * n }, () => random.below(n)));
        expect([...seen].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: n }, (_, i) => i));
      }),
      { numRuns: 50 },
    );
  });

  it('has the moments of its distributions', () => {
    const random = newRandom(9);
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const uniform = Array.from({ length: 20_000 }, () => random.uniform());
    expect(mean(uniform)).to.be.closeTo(0.5, 0.02);
    expect(uniform.every((u) => u >= 0 && u < 1)).to.equal(true);
    const normal = Array.from({ length: 20_000 }, () => random.normal());
    expect(mean(normal)).to.be.closeTo(0, 0.05);
    expect(mean(normal.map((z) => z * z))).to.be.closeTo(1, 0.05);
  });

  it('derives seeds that tell their labels apart', () => {
    const seeds = [
      deriveSeed(1, 1, 11),
      deriveSeed(1, 11, 1),
      deriveSeed(1, '1', 11),
      deriveSeed(2, 1, 11),
      deriveSeed(1),
    ];
    expect(new Set(seeds).size).to.equal(seeds.length);
  });
});
