// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { epsilonOf, rhoOf, rhoWithin, simpleEpsilonOf } from './accounting.js';
import { PrivacyError } from './errors.js';

/**
 * T releases, each with Gaussian noise of z times its sensitivity. Made with Python by two methods that share no code
 * with ours: `tight` by minimising corollary 13 of Canonne, Kamath, Steinke 2020 over α with mpmath (40 digits, a grid
 * of 2,001 points and golden section); `rdp` by `RdpAccountant` of the package dp-accounting 0.6.0
 * (`GaussianDpEvent(z)` composed T times, orders 1.01 to 2,000), which takes the best of a finite set of orders, so is
 * larger by up to 10^−5; `pld` by its `PLDAccountant`, the privacy loss distribution itself, which no bound through
 * Rényi divergences can undercut.
 */
const REFERENCES = [
  { z: 1, releases: 1, delta: 1e-5, tight: 4.72838698494331, rdp: 4.728387387137021, pld: 4.37717810002493 },
  { z: 1, releases: 1, delta: 1e-9, tight: 6.47407002072649, rdp: 6.4740718682984575, pld: 6.173935061525315 },
  { z: 2, releases: 10, delta: 1e-6, tight: 8.84588934846238, rdp: 8.84589006263356, pld: 8.306225053649792 },
  { z: 4, releases: 30, delta: 1e-5, tight: 6.81314498278085, rdp: 6.8131503077342135, pld: 6.325715396495715 },
  { z: 4, releases: 30, delta: 1e-9, tight: 9.18191324463476, rdp: 9.181916581139623, pld: 8.76709717688173 },
  { z: 8, releases: 30, delta: 1e-6, tight: 3.4178620513617, rdp: 3.4178624803964146, pld: 3.1907758791944074 },
  { z: 10, releases: 100, delta: 1e-6, tight: 5.22153444453017, rdp: 5.221535386670758, pld: 4.886554124377032 },
  { z: 0.5, releases: 1, delta: 1e-5, tight: 10.7248241129392, rdp: 10.724829265113254, pld: 9.99725615024243 },
  { z: 50, releases: 1, delta: 1e-6, tight: 0.0777359736983103, rdp: 0.07773597632372126, pld: 0.07096090983672465 },
  { z: 50, releases: 1, delta: 1e-9, tight: 0.106489712405885, rdp: 0.10648974093570951, pld: 0.10043630953134026 },
] as const;

const rhos = fc.double({ min: 1e-9, max: 1e4, noNaN: true });
const deltas = fc.double({ min: 1e-30, max: 0.5, noNaN: true });

describe('The account of privacy', () => {
  for (const { z, releases, delta, tight, rdp, pld } of REFERENCES) {
    it(`agrees with independent values for ${releases} releases at noise ${z} and δ ${delta}`, () => {
      const epsilon = epsilonOf(releases * rhoOf(1, z), delta);
      expect(epsilon).to.be.closeTo(tight, tight * 1e-12);
      expect(epsilon).to.be.closeTo(rdp, 1e-5);
      expect(epsilon).to.be.at.least(pld);
    });
  }

  it('gives the simple bound in closed form, never below the tight one', () => {
    expect(simpleEpsilonOf(0.5, 1e-5)).to.be.closeTo(5.29852591218808, 1e-13);
    fc.assert(
      fc.property(rhos, deltas, (rho, delta) => {
        expect(epsilonOf(rho, delta)).to.be.at.most(simpleEpsilonOf(rho, delta));
      }),
    );
  });

  it('is the least of all α', () => {
    fc.assert(
      fc.property(rhos, deltas, fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (rho, delta, u) => {
        const atAlpha = rho * (1 + u) - (Math.log1p(u) + Math.log(delta)) / u - Math.log1p(1 / u);
        expect(epsilonOf(rho, delta)).to.be.at.most(Math.max(0, atAlpha) * (1 + 1e-9) + 1e-9);
      }),
    );
  });

  it('grows with ρ and shrinks with δ', () => {
    fc.assert(
      fc.property(rhos, deltas, (rho, delta) => {
        expect(epsilonOf(2 * rho, delta)).to.be.at.least(epsilonOf(rho, delta));
        expect(epsilonOf(rho, delta / 2)).to.be.at.least(epsilonOf(rho, delta));
      }),
    );
    expect(epsilonOf(0, 1e-6)).to.equal(0);
  });

  it('knows the most that an ε allows: that much is within it, a millionth more is not', () => {
    for (const epsilon of [0.1, 2, 8, 128]) {
      const rho = rhoWithin(epsilon, 1e-5);
      expect(epsilonOf(rho, 1e-5)).to.be.at.most(epsilon);
      expect(epsilonOf(rho * (1 + 1e-6), 1e-5)).to.be.greaterThan(epsilon);
    }
  });

  it('charges Δ²/2σ² for a release', () => {
    expect(rhoOf(8_192, 8_192)).to.equal(0.5);
    expect(rhoOf(0, 5)).to.equal(0);
    expect(rhoOf(3, 2)).to.equal(1.125);
  });

  it('refuses parameters outside their range', () => {
    for (const [rho, delta] of [
      [-1, 1e-5],
      [Number.NaN, 1e-5],
      [Number.POSITIVE_INFINITY, 1e-5],
      [1, 0],
      [1, 1],
      [1, Number.NaN],
    ] as const) {
      expect(() => epsilonOf(rho, delta)).to.throw(PrivacyError, /^PRIVACY_PARAMETER: /);
      expect(() => simpleEpsilonOf(rho, delta)).to.throw(PrivacyError, /^PRIVACY_PARAMETER: /);
    }
    for (const [sensitivity, deviation] of [
      [-1, 1],
      [1, 0],
      [Number.NaN, 1],
      [1, Number.POSITIVE_INFINITY],
    ] as const) {
      expect(() => rhoOf(sensitivity, deviation)).to.throw(PrivacyError, /^PRIVACY_PARAMETER: /);
    }
  });
});
