// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { secureError } from '../testing/errors.js';
import { project, projectionVectors, vectorNorms } from './projection.js';
import { addTo, toSigned } from './ring.js';
import { componentValues, shareVector } from './sharing.js';
import { contextOf, hexFrom, holdersOf, printedRandom, sourceFrom } from './testing/setup.js';

describe('Projections', () => {
  it('have vectors of −1, 0 and 1 with ¼, ½ and ¼', () => {
    const length = 100_000;
    projectionVectors(hexFrom(printedRandom('entries')), 4, length).forEach((vector) => {
      const count = (wanted: number): number => vector.filter((value) => value === wanted).length / length;
      // Six standard deviations.
      expect(count(-1)).to.be.closeTo(0.25, 0.009);
      expect(count(0)).to.be.closeTo(0.5, 0.01);
      expect(count(1)).to.be.closeTo(0.25, 0.009);
    });
  });

  it('have vectors that depend on seed and index and not on how many there are', () => {
    const seed = hexFrom(printedRandom('vectors'));
    const [long, short] = [projectionVectors(seed, 3, 101), projectionVectors(seed, 2, 101)];
    expect(short).to.deep.equal(long.slice(0, 2));
    expect(long[0]).to.not.deep.equal(long[1]);
    expect(projectionVectors(contextOf(), 1, 101)[0]).to.not.deep.equal(long[0]);
    expect(vectorNorms([Int8Array.of(1, 0, -1), Int8Array.of(0)])).to.deep.equal([Math.SQRT2, 0]);
  });

  it('of all components add up to those of the vector, metrics left aside', () => {
    const random = printedRandom('linear');
    const source = sourceFrom(random);
    const vectors = projectionVectors(hexFrom(random), 8, 37);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -8192, max: 8192 }), { minLength: 40, maxLength: 40 }), (values) => {
        const { components } = shareVector(Uint32Array.from(values), contextOf(), holdersOf(5, 2), source);
        const sum = new Uint32Array(8);
        components.forEach((one) => {
          addTo(sum, project(componentValues(one, 10, contextOf(), 40), vectors));
        });
        const expected = vectors.map((vector) => vector.reduce((total, v, i) => total + v * values[i]!, 0));
        expect([...toSigned(sum)]).to.deep.equal(expected);
      }),
      { numRuns: 30 },
    );
  });

  it('are inner products modulo 2^32, for any number of vectors and any length', () => {
    const random = printedRandom('inner products');
    const lengths = fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 23 }), fc.nat({ max: 3 }));
    fc.assert(
      fc.property(lengths, ([count, length, metrics]) => {
        const component = Uint32Array.from({ length: length + metrics }, () => random.below(2 ** 32));
        // The last is shorter than the others.
        const vectors = projectionVectors(hexFrom(random), count, length).map((vector, k) =>
          k + 1 === count ? vector.subarray(1) : vector,
        );
        const expected = vectors.map((vector) => {
          const product = vector.reduce((sum, v, i) => sum + BigInt(v) * BigInt(component[i]!), 0n);
          return Number(BigInt.asUintN(32, product));
        });
        expect([...project(component, vectors)]).to.deep.equal(expected);
        expect([...project(component, vectors)]).to.deep.equal(expected);
      }),
    );
  });

  it('estimate the norm: twice the mean square of a projection is the square of the norm', () => {
    const random = printedRandom('norm');
    const u = Uint32Array.from({ length: 512 }, () => random.below(2_000) - 1_000);
    const square = toSigned(u).reduce((sum, value) => sum + value * value, 0);
    const projected = toSigned(project(u, projectionVectors(hexFrom(random), 255, 512)));
    const mean = projected.reduce((sum, value) => sum + value * value, 0) / 255;
    expect((2 * mean) / square).to.be.closeTo(1, 6 * Math.sqrt(2 / 255));
  });

  it('refuse vectors longer than the component, and numbers of vectors that are none', () => {
    const vectors = projectionVectors(contextOf(), 1, 9);
    expect(secureError(() => project(new Uint32Array(8), vectors)).code).to.equal('RING_LENGTH');
    expect(secureError(() => project(new Uint16Array(9), vectors)).code).to.equal('RING_TOO_NARROW');
    [-1, 256, 0.5].forEach((count) => {
      expect(secureError(() => projectionVectors(contextOf(), count, 9)).code).to.equal('SECURE_OPTION_INVALID');
    });
    expect(secureError(() => projectionVectors('AB', 1, 9)).code).to.equal('SECURE_OPTION_INVALID');
    expect(projectionVectors(contextOf(), 0, 9)).to.deep.equal([]);
  });
});
