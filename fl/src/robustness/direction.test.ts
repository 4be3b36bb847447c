// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { addTo } from '../secure/ring.js';
import { printedRandom, sourceFrom } from '../secure/testing/setup.js';
import { thrownBy } from '../testing/errors.js';
import {
  checkDirection,
  DIRECTION_NORM,
  directionNorm,
  medianDirection,
  projectOn,
  quantiseDirection,
} from './direction.js';
import { RobustnessError, type RobustnessErrorCode } from './errors.js';

function codeOf(call: () => unknown): RobustnessErrorCode | undefined {
  const error = thrownBy(call);
  return error instanceof RobustnessError ? error.code : undefined;
}

describe('A reference direction', () => {
  it('keeps an update’s direction in integers of norm at most 2^16', () => {
    const random = printedRandom('direction');
    for (let trial = 0; trial < 20; trial++) {
      const update = Float32Array.from({ length: 1 + random.below(500) }, () => random.normal() * 10 ** (trial % 20));
      const direction = quantiseDirection(update);
      expect(directionNorm(direction)).to.be.within(0.99 * DIRECTION_NORM, DIRECTION_NORM);
      const length = Math.sqrt(update.reduce((sum, value) => sum + value * value, 0));
      direction.forEach((value, i) => expect(value / DIRECTION_NORM).to.be.closeTo(update[i]! / length, 2 ** -16));
    }
    expect([...quantiseDirection(Float32Array.of(0, -3))]).to.deep.equal([0, -65_535]);
  });

  it('is the validators’ median coordinate by coordinate, whatever one of them says', () => {
    const honest = [Int32Array.of(100, 200), Int32Array.of(110, 190), Int32Array.of(120, 210)];
    const ratioOf = ([a = 0, b = 0]: Int32Array): number => a / b;
    expect(ratioOf(medianDirection(honest))).to.be.closeTo(110 / 200, 1e-3);
    const one = medianDirection([...honest, Int32Array.of(-60_000, 1)]);
    expect(ratioOf(one)).to.be.closeTo(105 / 195, 1e-3);
    expect(medianDirection([...honest].reverse())).to.deep.equal(medianDirection(honest));
    expect(directionNorm(one)).to.be.at.most(DIRECTION_NORM);
  });

  it('gives exact products that add up over the components of a sharing', () => {
    const random = printedRandom('products');
    const source = sourceFrom(random);
    const length = 300;
    const direction = quantiseDirection(Float32Array.from({ length }, () => random.normal()));
    const update = Int32Array.from({ length }, () => random.below(2_000) - 1_000);
    const mask = new Uint32Array(source.nextBytes(4 * length).buffer);
    const rest = new Uint32Array(update);
    rest.forEach((value, i) => (rest[i] = value - mask[i]!));
    const product = (projectOn(mask, direction) + projectOn(rest, direction)) | 0;
    expect(product).to.equal(update.reduce((sum, value, i) => sum + value * direction[i]!, 0));
    addTo(rest, mask);
    expect(projectOn(rest, direction) | 0).to.equal(product);
  });

  it('stays in the ring for the longest update that is believed', () => {
    const longest = Int32Array.of(2 * 4 * 2 ** 11, 0);
    const direction = quantiseDirection(Float32Array.of(1, 0));
    expect(projectOn(new Uint32Array(longest.buffer), direction) | 0).to.be.within(1, 2 ** 30);
  });

  it('is refused by name where it points nowhere, is too long or of another length', () => {
    expect(codeOf(() => quantiseDirection(new Float32Array(4)))).to.equal('DIRECTION_ZERO');
    expect(codeOf(() => quantiseDirection(Float32Array.of(Number.NaN)))).to.equal('DIRECTION_NOT_FINITE');
    expect(
      codeOf(() => {
        checkDirection(Int32Array.of(2 ** 16, 1), 2);
      }),
    ).to.equal('DIRECTION_TOO_LONG');
    expect(
      codeOf(() => {
        checkDirection(Int32Array.of(1), 2);
      }),
    ).to.equal('DIRECTION_LENGTH');
    expect(
      codeOf(() => {
        checkDirection(new Int32Array(2), 2);
      }),
    ).to.equal('DIRECTION_ZERO');
    expect(codeOf(() => medianDirection([]))).to.equal('DIRECTION_LENGTH');
    expect(codeOf(() => medianDirection([Int32Array.of(5, 0), Int32Array.of(-5, 0)]))).to.equal('DIRECTION_ZERO');
  });
});
