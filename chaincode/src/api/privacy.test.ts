// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { dpTask, secureTask, termsOf } from '../testing/secure-learning';
import type { SecureTerms } from './secure';
import { ceilSqrt, microRho, projectionBudget, quantisedClip, sumSensitivity, sumsMicroRho } from './privacy';

describe('The charge of differential privacy', () => {
  it('takes roots upwards', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 120n }), (n) => {
        const root = ceilSqrt(n);
        expect(root * root >= n).to.equal(true);
        expect(root === 0n || (root - 1n) * (root - 1n) < n).to.equal(true);
      }),
    );
    expect([0n, 1n, 2n, 4n, 5n, 9n, 10n].map(ceilSqrt)).to.deep.equal([0n, 1n, 2n, 2n, 3n, 3n, 4n]);
  });

  it('is 10^6 · Δ² / (2σ²), rounded up', () => {
    expect(microRho(1n, 1n)).to.equal(500_000n);
    expect(microRho(3n, 1_000n)).to.equal(5n);
    expect(microRho(1n, 10_000_000n)).to.equal(1n);
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 1n << 40n }), fc.bigInt({ min: 1n, max: 1n << 24n }), (delta, sigma) => {
        const charge = microRho(delta, sigma);
        const exact = 1_000_000n * delta * delta;
        expect(charge * 2n * sigma * sigma >= exact).to.equal(true);
        expect((charge - 1n) * 2n * sigma * sigma < exact).to.equal(true);
      }),
    );
  });

  it('bounds what one vehicle can add, metrics and rounding included', () => {
    // 2^11 · 4 = 8192; ⌈√89⌉ = 10; a metric within 8192; weights up to 4: 4 · ⌈√(8202² + 8192²)⌉ = 4 · 11593.
    const task = dpTask();
    expect(sumSensitivity(task, task.secure!)).to.equal(4n * 11_593n);
    expect(sumsMicroRho(task)).to.equal(microRho(4n * 11_593n, 100_000n));
    expect(sumSensitivity(task, termsOf({ metrics: [] }))).to.equal(4n * 8_202n);
    expect(quantisedClip(termsOf({ clipMilli: 1, fractionBits: 1 }))).to.equal(1n);
  });

  it('grows with every metric by its whole range, and with the square of what one vehicle adds', () => {
    // 4 · ⌈√(8202² + 2 · 8192²)⌉ = 4 · 14195, and ⌈10^6 · 56780² / (2 · 100000²)⌉.
    const task = dpTask();
    const two = { ...task, secure: { ...task.secure!, metrics: ['loss', 'absolute-error'] as SecureTerms['metrics'] } };
    expect(sumSensitivity(two, two.secure)).to.equal(4n * 14_195n);
    expect(sumsMicroRho(two)).to.equal(161_199n);
    expect(sumsMicroRho(task)).to.equal(107_519n);
  });

  it('is nothing where no privacy is promised', () => {
    expect(sumsMicroRho(secureTask())).to.equal(0n);
  });

  it('leaves a share of the model for projections', () => {
    expect(projectionBudget(secureTask(), termsOf({ openedShareMilli: 500 }))).to.equal(44);
  });
});
