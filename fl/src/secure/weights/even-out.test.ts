// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Random } from '../../random.js';
import { FULL, printedRandom } from '../testing/setup.js';
import { evenOut, type RuledWeight } from './even-out.js';

const TRIALS = FULL ? 2_000 : 50;
const MODULI = Array.from({ length: 4_095 }, (_, index) => index + 2);
/** Multiples of a sum that are tried beside the sum itself. */
const FACTORS = [1, 2, 3, 7, 21, 64];
const LENGTH = 16;

const ofClass = (classWeight: number, count = 1): RuledWeight[] =>
  Array.from({ length: count }, () => ({ classWeight, weight: classWeight }));
const scaled = (classWeight: number, weight: number): RuledWeight => ({ classWeight, weight });

/** Vehicles that are left in a multiple of a sum modulo m. */
const leftOf = (weights: readonly number[], factor: number, modulus: number): number =>
  weights.filter((weight) => (factor * weight) % modulus !== 0).length;

/** Σ aᵢ uᵢ of integer updates, as a round opens it. */
const sumOf = (updates: readonly Int32Array[], weights: readonly number[]): number[] =>
  Array.from({ length: LENGTH }, (_, at) => updates.reduce((sum, update, i) => sum + weights[i]! * update[at]!, 0));

/** What a sum modulo m leaves of one vehicle's update, signed; the weight has an inverse modulo m. */
function readOut(sum: readonly number[], weight: number, modulus: number): number[] {
  const inverse = Array.from({ length: modulus }, (_, x) => x).find((x) => (x * weight) % modulus === 1)!;
  return sum.map((value) => {
    const rest = (((value * inverse) % modulus) + modulus) % modulus;
    return rest > modulus / 2 ? rest - modulus : rest;
  });
}

/** A shard as the rules leave it: vehicles of up to four classes, some scaled, some out. */
function shardOf(random: Random): RuledWeight[] {
  const classes = [4, 6, 21, 64].slice(random.below(4));
  return Array.from({ length: 1 + random.below(40) }, () => {
    const classWeight = classes[random.below(classes.length)]!;
    const kind = random.below(10);
    return scaled(classWeight, kind === 0 ? 0 : kind < 4 ? random.below(classWeight) : classWeight);
  });
}

describe('Evened weights', () => {
  it('take away what a remainder of a sum shows: without them the update of a vehicle that is alone in its weight', () => {
    const random = printedRandom('remainder');
    const updates = Array.from({ length: 20 }, () => Int32Array.from({ length: LENGTH }, () => random.below(21) - 10));
    const ruled = [...ofClass(21, 19), ...ofClass(64)];
    const plain = ruled.map(({ weight }) => weight);
    expect(readOut(sumOf(updates, plain), 64, 21)).to.deep.equal([...updates[19]!]);
    const evened = evenOut(ruled, 10);
    expect(new Set(evened)).to.deep.equal(new Set([21]));
    expect(readOut(sumOf(updates, evened), 64, 21)).to.deep.equal(new Array<number>(LENGTH).fill(0));
  });

  it(`leave nobody or the minimum in every multiple of a sum, modulo everything up to 4096 (${TRIALS} shards)`, () => {
    const random = printedRandom('moduli');
    let counting = 0;
    for (let trial = 0; trial < TRIALS; trial++) {
      const minimum = 3 + random.below(10);
      const weights = evenOut(shardOf(random), minimum);
      counting += weights.some((weight) => weight > 0) ? 1 : 0;
      const open = MODULI.find((modulus) =>
        FACTORS.some((factor) => {
          const left = leftOf(weights, factor, modulus);
          return left > 0 && left < minimum;
        }),
      );
      expect(open, `modulus for ${JSON.stringify(weights)}, of at least ${minimum}`).to.equal(undefined);
    }
    expect(counting).to.be.greaterThan(TRIALS / 4);
  }).timeout(600_000);

  it('are at most what the rule gave, and less in proportion for whoever was scaled', () => {
    const random = printedRandom('bounds');
    for (let trial = 0; trial < 20 * TRIALS; trial++) {
      const ruled = shardOf(random);
      const weights = evenOut(ruled, 3 + random.below(6));
      ruled.forEach(({ classWeight, weight }, i) => {
        expect(weights[i]).to.be.at.most(weight);
        const peer = ruled.findIndex((other) => other.classWeight === classWeight && other.weight === classWeight);
        if (peer >= 0) {
          expect(weights[i]! * classWeight, 'beside one of its class').to.be.at.most(weights[peer]! * weight);
        }
      });
    }
  });

  it('do not depend on the order of the vehicles', () => {
    const random = printedRandom('order');
    for (let trial = 0; trial < TRIALS; trial++) {
      const ruled = shardOf(random);
      expect(evenOut([...ruled].reverse(), 3)).to.deep.equal(evenOut(ruled, 3).reverse());
    }
  });

  it('are those of the classes where each has the minimum', () => {
    expect(evenOut(ofClass(21, 20), 10)).to.deep.equal(new Array<number>(20).fill(21));
    expect(evenOut([...ofClass(64, 3), ...ofClass(6, 3)], 3)).to.deep.equal([64, 64, 64, 6, 6, 6]);
  });

  it('pool classes that are too small with the next, and the last with the one before', () => {
    expect(evenOut([...ofClass(64, 2), ...ofClass(21, 3), ...ofClass(4)], 3)).to.deep.equal([4, 4, 4, 4, 4, 4]);
    expect(evenOut([...ofClass(64, 3), ...ofClass(21, 2), ...ofClass(6)], 3)).to.deep.equal([64, 64, 64, 6, 6, 6]);
  });

  it('leave out a scaled vehicle that finds no company, and never lower others to it', () => {
    expect(evenOut([...ofClass(21, 3), scaled(21, 20)], 3)).to.deep.equal([21, 21, 21, 0]);
    expect(evenOut([...ofClass(64, 3), scaled(64, 30), ...ofClass(21, 3)], 3)).to.deep.equal([
      64, 64, 64, 21, 21, 21, 21,
    ]);
    expect(evenOut([...ofClass(21, 3), ...[20, 19, 17, 5].map((one) => scaled(21, one))], 3)).to.deep.equal([
      21, 21, 21, 17, 17, 17, 0,
    ]);
  });

  it('scale from the level of the class: one that was lowered does not let its scaled vehicles count like the rest', () => {
    expect(evenOut([...ofClass(64, 5), ...ofClass(4), scaled(64, 30)], 3)).to.deep.equal([4, 4, 4, 4, 4, 4, 0]);
  });

  it('are 0 where fewer than the minimum have the weight of their class', () => {
    expect(evenOut([...ofClass(21, 2), scaled(21, 20), scaled(21, 19)], 3)).to.deep.equal([0, 0, 0, 0]);
    expect(evenOut([], 3)).to.deep.equal([]);
  });
});
