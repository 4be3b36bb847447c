// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { commitComponent } from './commitment.js';
import { addTo, ringBitsOf, ringBytes, ringZeros, subtractFrom, type RingBits, type RingVector } from './ring.js';
import { componentsHeldBy } from './share.js';
import { componentValues, shareVector, type Holders } from './sharing.js';
import { contextOf, hexFrom, holdersOf, printedRandom, sourceFrom, subsets } from './testing/setup.js';

const LENGTH = 16_384;
/** χ² with 255 degrees of freedom is above this with probability below 10^−9. */
const LIMIT = 420;

/** Two updates as different as they can be: nothing learnt, and every coordinate at the edge of the range. */
const nothing = (bits: RingBits): RingVector => ringZeros(LENGTH, bits);
function extreme(bits: RingBits): RingVector {
  const edge = bits === 32 ? 2 ** 20 : 2 ** 12;
  const vector = ringZeros(LENGTH, bits);
  vector.forEach((_, i) => (vector[i] = i % 2 === 0 ? edge : -edge));
  return vector;
}

function histogram(values: RingVector, shift: number): Float64Array {
  const bins = new Float64Array(256);
  values.forEach((value) => {
    bins[(value >>> shift) & 255]! += 1;
  });
  return bins;
}

/** Pearson's χ² of the top and the bottom byte against uniform; the larger. */
function farFromUniform(values: RingVector): number {
  const top = ringBitsOf(values) - 8;
  const expected = values.length / 256;
  const chi = (bins: Float64Array): number => bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return Math.max(chi(histogram(values, top)), chi(histogram(values, 0)));
}

/** Pearson's χ² of homogeneity of two samples of the same size, by top byte and by bottom byte; the larger. */
function farApart(a: RingVector, b: RingVector): number {
  const top = ringBitsOf(a) - 8;
  const chi = (x: Float64Array, y: Float64Array): number =>
    x.reduce((sum, count, i) => (count + y[i]! === 0 ? sum : sum + (count - y[i]!) ** 2 / (count + y[i]!)), 0);
  return Math.max(chi(histogram(a, top), histogram(b, top)), chi(histogram(a, 0), histogram(b, 0)));
}

/** All vectors that a set of aggregators can compute: each component that one of them holds, and their sum. */
function viewOf(components: readonly RingVector[], holders: Holders, set: readonly number[]): RingVector[] {
  const held = [...new Set(set.flatMap((aggregator) => componentsHeldBy(aggregator, holders)))];
  const seen = held.map((component) => components[component]!);
  const sum = ringZeros(LENGTH, ringBitsOf(seen[0]!));
  seen.forEach((values) => {
    addTo(sum, values);
  });
  return [...seen, sum];
}

interface Leak {
  readonly uniform: number;
  readonly apart: number;
}

/** The greatest departure that any set of t aggregators sees, whatever way the vectors were shared. */
function leakOf<V extends RingVector>(
  n: number,
  t: number,
  vectors: readonly [nothing: V, extreme: V],
  share: (vector: V, holders: Holders) => readonly RingVector[],
): Leak {
  const holders = holdersOf(n, t);
  const [ofNothing, ofExtreme] = [share(vectors[0], holders), share(vectors[1], holders)];
  let [uniform, apart] = [0, 0];
  for (const set of subsets(n, t)) {
    const [a, b] = [viewOf(ofNothing, holders, set), viewOf(ofExtreme, holders, set)];
    a.forEach((values, i) => {
      uniform = Math.max(uniform, farFromUniform(values), farFromUniform(b[i]!));
      apart = Math.max(apart, farApart(values, b[i]!));
    });
  }
  return { uniform, apart };
}

describe('What t aggregators see', () => {
  for (const [n, t] of [
    [3, 1],
    [5, 2],
  ] as const) {
    for (const bits of [32, 16] as const) {
      it(`with n = ${n}, t = ${t} in ${bits} bits is uniform and the same for very different updates`, () => {
        const random = printedRandom(`n = ${n}, t = ${t}, ${bits} bits`);
        const context = hexFrom(random);
        const source = sourceFrom(random);
        const leak = leakOf(n, t, [nothing(bits), extreme(bits)], (vector, holders) => {
          const { components } = shareVector(vector, context, holders, source);
          return components.map((one) => componentValues(one, holders.length, context, LENGTH, bits));
        });
        expect(leak.uniform).to.be.below(LIMIT);
        expect(leak.apart).to.be.below(LIMIT);
      });
    }

    it(`with n = ${n}, t = ${t} is neither where the shares are floats that add up, which this check notices`, () => {
      const random = printedRandom(`floats, n = ${n}, t = ${t}`);
      // Shares uniform in ±100 but for the last, which is the value less their sum, as in scalar float secret sharing.
      const leak = leakOf(n, t, [nothing(32), extreme(32)], (vector, holders) => {
        const rest = Float32Array.from(new Int32Array(vector.buffer), (value) => value / 2 ** 11);
        const shares = holders.slice(1).map(() => {
          const share = Float32Array.from({ length: LENGTH }, () => (2 * random.uniform() - 1) * 100);
          share.forEach((value, i) => (rest[i]! -= value));
          return share;
        });
        return [...shares, rest].map((share) => new Uint32Array(share.buffer));
      });
      expect(leak.uniform).to.be.above(10 * LIMIT);
      expect(leak.apart).to.be.above(10 * LIMIT);
    });
  }

  it('is the update itself for t + 1 of them', () => {
    const random = printedRandom('t + 1');
    const context = hexFrom(random);
    const holders = holdersOf(3, 1);
    const { components } = shareVector(extreme(32), context, holders, sourceFrom(random));
    const values = components.map((one) => componentValues(one, 3, context, LENGTH));
    expect(viewOf(values, holders, [0, 1]).at(-1)).to.deep.equal(extreme(32));
  });
});

describe('A guess of a vector with a single count', () => {
  const COORDINATES = 32;
  const COUNTS = 8;
  /** All vectors with one coordinate in 1 … 8 and zeros otherwise: few enough to try each. */
  const guesses = Array.from({ length: COORDINATES * COUNTS }, (_, index) => {
    const vector = new Uint32Array(COORDINATES);
    vector[index % COORDINATES] = 1 + Math.floor(index / COORDINATES);
    return vector;
  });

  it('cannot be checked against the commitments by the holder of all seeds, but could be without salts', () => {
    const random = printedRandom('guesses');
    const context = contextOf();
    const holders = holdersOf(3, 1);
    const truth = random.below(guesses.length);
    const { components, leaves } = shareVector(guesses[truth]!, context, holders, sourceFrom(random));
    // Aggregator 2 holds the seeds 0 and 1 with their salts and computes what the full component would be.
    const held = componentsHeldBy(2, holders).map((component) => components[component]!);
    expect(held.map(({ component }) => component)).to.deep.equal([0, 1]);
    const matches = (salt: Uint8Array): number[] =>
      guesses.flatMap((guess, index) => {
        const full = guess.slice();
        held.forEach((one) => {
          subtractFrom(full, componentValues(one, 3, context, COORDINATES));
        });
        return commitComponent(context, 2, salt, ringBytes(full)) === leaves[2] ? [index] : [];
      });

    const salts = [new Uint8Array(32), ...held.map(({ salt }) => salt), ...held.map(({ content }) => content)];
    salts.forEach((salt) => expect(matches(salt)).to.deep.equal([]));
    expect(matches(components[2]!.salt)).to.deep.equal([truth]);
  });
});
