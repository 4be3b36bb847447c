// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { parseClockSeconds } from './cells.js';
import { circlePoint, cyclic, phaseOf } from './cyclic.js';

describe('A place in a period', () => {
  it('lies on the unit circle where sine and cosine put it', () => {
    fc.assert(
      fc.property(fc.double({ min: -50, max: 50, noNaN: true }), (turns) => {
        const { sin, cos } = circlePoint(turns);
        expect(sin).to.be.closeTo(Math.sin(2 * Math.PI * turns), 1e-12);
        expect(cos).to.be.closeTo(Math.cos(2 * Math.PI * turns), 1e-12);
      }),
    );
  });

  it('has exact values at the quarters', () => {
    expect([0, 0.25, 0.5, 0.75, 1].map((turns) => circlePoint(turns).cos + 0)).to.deep.equal([1, 0, -1, 0, 1]);
  });

  it('is told by sine and cosine of each harmonic', () => {
    expect(cyclic(0.1, 2)).to.have.length(4);
    expect(cyclic(0.1, 2).slice(2)).to.deep.equal(cyclic(0.2));
  });

  it('counts days from midnight and weeks from Monday', () => {
    const at = (text: string): number => parseClockSeconds(text)!;
    expect(phaseOf(at('2021-08-02 06:00:00'), 'day')).to.equal(0.25);
    expect(phaseOf(at('2021-08-02 00:00:00'), 'week')).to.equal(0);
    expect(phaseOf(at('2021-08-08 12:00:00'), 'week')).to.be.closeTo(6.5 / 7, 1e-12);
    expect(phaseOf(at('1969-12-31 18:00:00'), 'day')).to.equal(0.75);
    expect(phaseOf(at('2021-01-01 00:00:00'), 'year')).to.be.closeTo(0, 0.003);
  });
});
