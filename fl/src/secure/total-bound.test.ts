// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { discreteGaussian } from '../privacy/discrete-gaussian.js';
import { secureError } from '../testing/errors.js';
import { encodeUpdate } from './fixed-point.js';
import { seededRandom } from './random.js';
import { toSigned } from './ring.js';
import { checkTotal, totalBound, type TotalTerms } from './total-bound.js';

const TERMS: TotalTerms = {
  format: { fractionBits: 11, clip: 4 },
  parameters: 400,
  weight: 10,
  noises: 0,
  noiseDeviation: 0,
};
const seed = (tag: number) => seededRandom(new Uint8Array(32).fill(tag));
const codeOf = (total: Float64Array, terms: TotalTerms): string =>
  secureError(() => {
    checkTotal(total, terms);
  }).code;

describe('The bound on a total', () => {
  it('is W times that of a rounded update, and what the noise of all aggregators reaches', () => {
    // 2^11 · 4 = 8192; √(8192² + 100 + 8192 + 10) = 8192 + .507
    expect(totalBound(TERMS)).to.be.closeTo(81_925.06, 0.1);
    const noise = totalBound({ ...TERMS, noises: 4, noiseDeviation: 100 }) - totalBound(TERMS);
    expect(noise).to.be.closeTo(2 * 100 * (20 + 12), 1e-6);
  });

  it('is kept by vehicles that all learn the same as far as they may, with noise', () => {
    const terms = { ...TERMS, noises: 3, noiseDeviation: 2_000 };
    const total = new Float64Array(402);
    for (let vehicle = 0; vehicle < 10; vehicle++) {
      const update = new Float32Array(400).fill(1);
      toSigned(encodeUpdate(update, terms.format, seed(vehicle))).forEach((value, i) => {
        total[i] = total[i]! + value;
      });
    }
    for (let noise = 0; noise < 3; noise++) {
      discreteGaussian(2_000, 402, seed(100 + noise)).forEach((value, i) => {
        total[i] = total[i]! + value;
      });
    }
    checkTotal(total, terms);
    expect(codeOf(total, TERMS), 'noise where there should be none').to.equal('TOTAL_OUT_OF_BOUND');
  });

  it('is one on update values alone', () => {
    const bound = totalBound(TERMS);
    for (const [index, value] of [
      [7, bound + 1],
      [399, -bound - 1],
    ] as const) {
      const total = new Float64Array(402);
      total[index] = value;
      expect(codeOf(total, TERMS), String(index)).to.equal('TOTAL_OUT_OF_BOUND');
      total[index] = value - 2 * Math.sign(value);
      total[400] = 2 ** 31;
      checkTotal(total, TERMS);
    }
  });
});
