// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { modelError, secureError } from '../testing/errors.js';
import { clipTo, decodeTotal, encodeMetric, encodeUpdate, roundedBound } from './fixed-point.js';
import { componentSum, totalOf } from './aggregate.js';
import { toSigned } from './ring.js';
import type { RandomSource } from './random.js';
import { FULL, printedRandom, sourceFrom } from './testing/setup.js';

const FORMAT = { fractionBits: 11, clip: 4 };
const update = fc.float32Array({ minLength: 1, maxLength: 200, noNaN: true, noDefaultInfinity: true });
const small = fc.float32Array({ minLength: 1, maxLength: 200, noNaN: true, min: -1, max: 1 });
const norm = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0));

describe('Clipping', () => {
  it('leaves the norm at most C and the direction as it was', () => {
    fc.assert(
      fc.property(update, (u) => {
        const clipped = clipTo(u, 4);
        expect(norm(clipped)).to.be.at.most(4);
        const scale = norm(u) <= 4 ? 1 : 4 / norm(u);
        clipped.forEach((value, i) => expect(value).to.be.closeTo(u[i]! * scale, 1e-5));
      }),
    );
  });

  it('leaves an update within C as it is, bit by bit', () => {
    fc.assert(
      fc.property(small, (u) => {
        expect(clipTo(u, 20)).to.deep.equal(u);
      }),
    );
  });

  it('refuses NaN and infinity', () => {
    [Number.NaN, Infinity].forEach((value) => {
      expect(modelError(() => clipTo(Float32Array.of(0, value), 4)).code).to.equal('MODEL_NOT_FINITE');
    });
  });
});

describe('Fixed point', () => {
  it('is within one unit of every coordinate and within the bound of the norm', () => {
    const random = sourceFrom(printedRandom('rounding'));
    fc.assert(
      fc.property(update, (u) => {
        const encoded = toSigned(encodeUpdate(u, FORMAT, random));
        clipTo(u, 4).forEach((value, i) => expect(Math.abs(encoded[i]! - value * 2 ** 11)).to.be.below(1));
        expect(norm(encoded)).to.be.at.most(roundedBound(FORMAT, u.length));
      }),
    );
  });

  it('is exact where no rounding is needed', () => {
    const random = sourceFrom(printedRandom('exact'));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -500, max: 500 }), { minLength: 1, maxLength: 50 }), (units) => {
        const u = Float32Array.from(units, (unit) => unit / 2 ** 11);
        expect([...toSigned(encodeUpdate(u, FORMAT, random))]).to.deep.equal(units);
      }),
    );
  });

  it('is right on average', () => {
    const random = sourceFrom(printedRandom('mean'));
    const runs = FULL ? 200_000 : 20_000;
    const u = Float32Array.of(0.25 / 2 ** 11, -0.1 / 2 ** 11, 2.9 / 2 ** 11);
    const mean = [0, 0, 0];
    for (let run = 0; run < runs; run++) {
      toSigned(encodeUpdate(u, FORMAT, random)).forEach((value, i) => (mean[i]! += value / runs));
    }
    [0.25, -0.1, 2.9].forEach((value, i) => expect(mean[i]).to.be.closeTo(value, 3 / Math.sqrt(runs)));
  });

  it('draws again until the rounding is within the bound, and gives up on a source that only rounds up', () => {
    const up: RandomSource = { nextBytes: (n) => new Uint8Array(n).fill(255) };
    const u = new Float32Array(2_000).fill(0.01 / 2 ** 11);
    expect(secureError(() => encodeUpdate(u, { fractionBits: 11, clip: 0.001 }, up)).code).to.equal('ROUNDING_FAILED');
    const random = sourceFrom(printedRandom('redraw'));
    let draws = 0;
    const upAtFirst: RandomSource = {
      nextBytes: (n) => (draws++ < 3 ? up.nextBytes(n) : random.nextBytes(n)),
    };
    const encoded = encodeUpdate(u, { fractionBits: 11, clip: 0.001 }, upAtFirst);
    expect(draws).to.be.at.least(4);
    expect(norm(toSigned(encoded))).to.be.at.most(roundedBound({ fractionBits: 11, clip: 0.001 }, u.length));
  });

  it('has the bound of Kairouz, Liu and Steinke', () => {
    // c = 8,192 and d = 11,137: √(c² + d/4 + c + √d/2), below c + √d.
    expect(roundedBound(FORMAT, 11_137)).to.be.closeTo(Math.sqrt(67_108_864 + 2_784.25 + 8_192 + 52.766), 1e-3);
    expect(roundedBound({ fractionBits: 0, clip: 0.1 }, 4)).to.be.closeTo(Math.sqrt(0.01 + 1 + 0.1 + 1), 1e-9);
    expect(roundedBound({ fractionBits: 0, clip: 1 }, 1)).to.be.closeTo(Math.min(2, Math.sqrt(2.75)), 1e-9);
  });

  it('decodes the weighted mean of updates and metrics', () => {
    const random = sourceFrom(printedRandom('mean of many'));
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            u: fc.float32Array({ minLength: 4, maxLength: 4, noNaN: true, min: -1, max: 1 }),
            weight: fc.integer({ min: 1, max: 64 }),
            metric: fc.float({ min: -4, max: 4, noNaN: true }),
          }),
          { minLength: 1, maxLength: 20 },
        ),
        (vehicles) => {
          const reports = vehicles.map(({ u, weight, metric }) => ({
            values: Uint32Array.of(...encodeUpdate(u, FORMAT, random), encodeMetric(metric, FORMAT)),
            weight,
          }));
          const weights = vehicles.reduce((sum, { weight }) => sum + weight, 0);
          const mean = decodeTotal(totalOf([componentSum(reports, 5)]), weights, FORMAT);
          mean.forEach((value, i) => {
            const expected =
              vehicles.reduce((sum, { u, weight, metric }) => sum + weight * (u[i] ?? metric), 0) / weights;
            expect(value).to.be.closeTo(expected, 2 ** -11 + 1e-6);
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  it('cuts a metric at ±C and refuses NaN', () => {
    expect(encodeMetric(5, FORMAT)).to.equal(8192);
    expect(encodeMetric(-Infinity, FORMAT)).to.equal(-8192);
    expect(encodeMetric(0.5, FORMAT)).to.equal(1024);
    expect(secureError(() => encodeMetric(Number.NaN, FORMAT)).code).to.equal('SECURE_OPTION_INVALID');
  });

  it('has no mean of no weight', () => {
    [0, -1, 0.5].forEach((weights) => {
      expect(secureError(() => decodeTotal(new Int32Array(1), weights, FORMAT)).code).to.equal('SECURE_OPTION_INVALID');
    });
  });
});
