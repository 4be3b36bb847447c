// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { seededRandom, type RandomSource } from '../secure/random.js';
import { FULL, printedRandom, sourceFrom } from '../secure/testing/setup.js';
import { chiSquareDeviate, discreteGaussianProbabilities, ONE_IN_A_MILLION } from '../testing/statistics.js';
import { discreteGaussian } from './discrete-gaussian.js';
import { PrivacyError } from './errors.js';

const COUNT = FULL ? 2_000_000 : 100_000;

/** From a second implementation of the algorithms on the same bytes, with fractions, in Python. */
const FROZEN = [
  { deviation: 3, seed: 7, samples: [2, -1, -2, 0, -3, -2, 3, 0, -6, -4, -2, -1] },
  { deviation: 1_000_000, seed: 7, samples: [-40386, 294270, -102078, 100169, -645296, 1252779] },
  { deviation: 10_000_000, seed: 8, samples: [-15396592, 5620557, 2890986, 12194980] },
] as const;

describe('Discrete Gaussian noise', () => {
  for (const deviation of [1, 2, 3, 17, 300]) {
    it(`has the exact distribution at deviation ${deviation}`, () => {
      const samples = discreteGaussian(deviation, COUNT, printedSource(`deviation ${deviation}`));
      const deviate = chiSquareDeviate(samples, discreteGaussianProbabilities(deviation, 10 * deviation));
      expect(deviate).to.be.lessThan(ONE_IN_A_MILLION);
    });
  }

  it('is tested by a test that rejects a rounded Gaussian and one of a slightly other deviation', () => {
    const { uniform, normal } = boxMuller();
    const rounded = Array.from({ length: 100_000 }, () => Math.round(normal(uniform)));
    expect(chiSquareDeviate(rounded, discreteGaussianProbabilities(1, 10))).to.be.greaterThan(ONE_IN_A_MILLION);
    const wider = discreteGaussian(17, 100_000, sourceOf(1));
    expect(chiSquareDeviate(wider, discreteGaussianProbabilities(16.5, 165))).to.be.greaterThan(ONE_IN_A_MILLION);
  });

  it('agrees with probabilities that another program computed', () => {
    // Python, mpmath 1.3 with 30 digits: exp(−x²/2σ²) / Σ over |x| ≤ 40σ.
    const p1 = discreteGaussianProbabilities(1, 40);
    expect(p1[40]).to.be.closeTo(0.3989422782668617, 1e-15);
    expect(p1[41]).to.be.closeTo(0.2419707232244606, 1e-15);
    expect(p1[45]).to.be.closeTo(1.486719506779492e-6, 1e-20);
    const p3 = discreteGaussianProbabilities(3, 120);
    expect(p3[120]).to.be.closeTo(0.1329807601338109, 1e-15);
    expect(p3[125]).to.be.closeTo(0.03315904626424956, 1e-15);
  });

  it('has the exact tail beyond three deviations', () => {
    // Same program: P[|X| > 3σ].
    const tails = [
      [1, 0.000270646059156374],
      [3, 0.00146599903561309],
      [17, 0.002446764002743],
    ] as const;
    const source = printedSource('tail');
    for (const [deviation, probability] of tails) {
      const beyond = discreteGaussian(deviation, COUNT, source).filter((x) => Math.abs(x) > 3 * deviation).length;
      // Bernstein's bound at one in a million, which also holds for small expectations.
      const spread = Math.sqrt(COUNT * probability);
      expect(Math.abs(beyond - COUNT * probability)).to.be.lessThan(5.5 * spread + 10);
    }
  });

  for (const deviation of [1_000, 65_537, 1_000_000, 10_000_000]) {
    it(`has mean 0, variance σ² and the quartiles of a Gaussian at deviation ${deviation}`, () => {
      const samples = Array.from(discreteGaussian(deviation, COUNT, printedSource(`deviation ${deviation}`)));
      const scaled = samples.map((x) => x / deviation);
      const mean = scaled.reduce((a, b) => a + b, 0) / COUNT;
      const variance = scaled.reduce((a, b) => a + b * b, 0) / COUNT;
      expect(Math.abs(mean) * Math.sqrt(COUNT)).to.be.lessThan(5);
      expect(Math.abs(variance - 1) * Math.sqrt(COUNT / 2)).to.be.lessThan(5);
      for (const [quantile, probability] of [
        [-0.6744898, 0.25],
        [0, 0.5],
        [1.2815516, 0.9],
      ] as const) {
        const below = scaled.filter((x) => x < quantile).length / COUNT;
        expect(Math.abs(below - probability) * Math.sqrt(COUNT / (probability * (1 - probability)))).to.be.lessThan(5);
      }
    });
  }

  it('uses the low bits too: residues modulo 7 are uniform at a large deviation', () => {
    const counts = new Array<number>(7).fill(0);
    for (const x of discreteGaussian(1_000_000, COUNT, printedSource('residues'))) {
      const residue = ((x % 7) + 7) % 7;
      counts[residue] = counts[residue]! + 1;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - COUNT / 7) ** 2 / (COUNT / 7), 0);
    // χ² with 6 degrees of freedom exceeds 38.3 once in a million.
    expect(chiSquare).to.be.lessThan(38.3);
  });

  it('gives these very numbers for a seed on every machine', () => {
    for (const { deviation, seed, samples } of FROZEN) {
      expect(Array.from(discreteGaussian(deviation, samples.length, sourceOf(seed)))).to.deep.equal(samples);
    }
    expect(discreteGaussian(40, 500, sourceOf(8))).to.deep.equal(discreteGaussian(40, 500, sourceOf(8)));
    expect(discreteGaussian(40, 500, sourceOf(8))).not.to.deep.equal(discreteGaussian(40, 500, sourceOf(9)));
  });

  it('makes the noise of a model in a fraction of a second', () => {
    discreteGaussian(1_000, 2_000, sourceOf(1));
    const started = process.cpuUsage();
    discreteGaussian(1_000_000, 11_137, sourceOf(2));
    const { user, system } = process.cpuUsage(started);
    console.log(`      11,137 samples at deviation 10^6: ${((user + system) / 1_000).toFixed(0)} ms of CPU`);
    expect((user + system) / 1_000).to.be.lessThan(1_000);
  });

  it('refuses a deviation or a count that makes no sense', () => {
    for (const deviation of [0, -1, 0.5, 1.5, Number.NaN, 10_000_001, Number.POSITIVE_INFINITY]) {
      expect(() => discreteGaussian(deviation, 1, sourceOf(1))).to.throw(PrivacyError, /^NOISE_DEVIATION: /);
    }
    for (const count of [-1, 0.5, Number.NaN]) {
      expect(() => discreteGaussian(1, count, sourceOf(1))).to.throw(PrivacyError, /^NOISE_COUNT: /);
    }
    expect(discreteGaussian(1, 0, sourceOf(1)).length).to.equal(0);
  });
});

function boxMuller(): { uniform: () => number; normal: (uniform: () => number) => number } {
  const words = sourceOf(3);
  const uniform = (): number => (Buffer.from(words.nextBytes(4)).readUInt32LE() + 0.5) / 0x1_0000_0000;
  const normal = (next: () => number): number => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
  return { uniform, normal };
}

function sourceOf(seed: number): RandomSource {
  return seededRandom(createHash('sha256').update(`test source ${seed}`).digest());
}

function printedSource(what: string): RandomSource {
  return sourceFrom(printedRandom(what));
}
