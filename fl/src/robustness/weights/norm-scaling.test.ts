// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Random } from '../../random.js';
import { secureError } from '../../testing/errors.js';
import { encodeUpdate } from '../../secure/fixed-point.js';
import { project, projectionVectors, vectorNorms } from '../../secure/projection.js';
import type { RandomSource } from '../../secure/random.js';
import { toSigned } from '../../secure/ring.js';
import { FULL, hexFrom, printedRandom, sourceFrom } from '../../secure/testing/setup.js';
import { LEAST_SCALABLE_WEIGHT, normScaling } from './norm-scaling.js';
import type { WeightInput, Weights } from './rule.js';
import { WEIGHT_RULES } from './rules.js';
import { uniform } from './uniform.js';

const LENGTH = 512;
const K = 8;
const FORMAT = { fractionBits: 11, clip: 4 };
/** More than the 1,000 of the claim: the rarest case escapes with .0056, and .01 is six deviations off. */
const TRIALS = FULL ? 100_000 : 10_000;
/** So many different sets of vectors; what is drawn anew in each trial are the projections. */
const POOL = 100;
const CLASSES = [LEAST_SCALABLE_WEIGHT, 16, 64];

function direction(random: Random): Float32Array {
  const vector = Float32Array.from({ length: LENGTH }, () => random.normal());
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / norm);
}

function scaled(vector: Float32Array, factor: number): Uint32Array {
  return Uint32Array.from(vector, (value) => Math.round(value * factor * 2 ** FORMAT.fractionBits));
}

function withAt(vector: Uint32Array, entries: Readonly<Record<number, number>>): Uint32Array {
  const copy = vector.slice();
  Object.entries(entries).forEach(([at, value]) => (copy[Number(at)]! += value));
  return copy;
}

/** What a hostile vehicle may send instead of an update within C; each is far out of what is accepted. */
function attacks(random: Random, source: RandomSource): Record<string, Uint32Array> {
  const base = encodeUpdate(direction(random), FORMAT, source);
  const edge = 3 * FORMAT.clip * 2 ** FORMAT.fractionBits;
  const [a, b] = [random.below(LENGTH / 2), LENGTH / 2 + random.below(LENGTH / 2)];
  return {
    'three times the bound in a random direction': scaled(direction(random), 3 * FORMAT.clip),
    'three times the bound in one coordinate': withAt(new Uint32Array(LENGTH), { [a]: edge }),
    'three times the bound in two coordinates': withAt(new Uint32Array(LENGTH), {
      [a]: edge / Math.SQRT2,
      [b]: edge / Math.SQRT2,
    }),
    '2^31 in two coordinates': withAt(base, { [a]: 2 ** 31, [b]: 2 ** 31 }),
    '2^31 in one coordinate': withAt(base, { [a]: 2 ** 31 }),
    '2^30 in four coordinates': withAt(base, { [a]: 2 ** 30, [a + 1]: 2 ** 30, [b - 1]: 2 ** 30, [b]: 2 ** 30 }),
    'the whole ring': new Uint32Array(source.nextBytes(4 * LENGTH).buffer),
  };
}

/** Updates at the bound in a random direction and in one coordinate, and one well within it. */
function honest(random: Random, source: RandomSource): Uint32Array[] {
  const single = new Float32Array(LENGTH);
  single[random.below(LENGTH)] = FORMAT.clip;
  const updates = [direction(random).map((value) => value * FORMAT.clip), single, direction(random)];
  return updates.map((update) => encodeUpdate(update, FORMAT, source));
}

/** Weights of one draw of projections for vectors of one class weight. */
function weighed(vectors: readonly Uint32Array[], seed: string, classWeight: number): Weights {
  const projection = projectionVectors(seed, K, LENGTH);
  return normScaling.weigh({
    classWeights: vectors.map(() => classWeight),
    projections: vectors.map((vector) => toSigned(project(vector, projection))),
    format: FORMAT,
    vectorNorms: vectorNorms(projection),
  });
}

describe('Norm scaling', () => {
  it(`scales down or throws out what wraps the ring or exceeds the bound, each in 99 % of ${TRIALS} trials at K = 8`, () => {
    const random = printedRandom('attacks');
    const source = sourceFrom(random);
    const escaped: Record<string, number> = {};
    const pool = Array.from({ length: POOL }, () => attacks(random, source));
    for (let trial = 0; trial < TRIALS; trial++) {
      const vectors = pool[trial % POOL]!;
      const classWeight = CLASSES[trial % CLASSES.length]!;
      const { weights, reasons } = weighed(Object.values(vectors), hexFrom(random), classWeight);
      Object.keys(vectors).forEach((name, index) => {
        const caught = weights[index]! < classWeight && reasons[index] !== undefined;
        escaped[name] = (escaped[name] ?? 0) + (caught ? 0 : 1);
      });
    }
    console.log(`      escaped of ${TRIALS}: ${JSON.stringify(escaped)}`);
    Object.entries(escaped).forEach(([name, count]) => expect(count, name).to.be.at.most(TRIALS / 100));
  }).timeout(600_000);

  it(`never refuses an honest vehicle in ${TRIALS} trials, whatever the shape of its update`, () => {
    const random = printedRandom('honest');
    const source = sourceFrom(random);
    const pool = Array.from({ length: POOL }, () => honest(random, source));
    let reduced = 0;
    for (let trial = 0; trial < TRIALS; trial++) {
      const vectors = pool[trial % POOL]!;
      const classWeight = CLASSES[trial % CLASSES.length]!;
      const { weights, reasons } = weighed(vectors, hexFrom(random), classWeight);
      weights.forEach((weight) => expect(weight).to.be.within(1, classWeight));
      expect(reasons).to.not.include('RANGE_EXCEEDED');
      reduced += weights[0]! < classWeight ? 1 : 0;
    }
    console.log(`      at the bound itself ${((100 * reduced) / TRIALS).toFixed(1)} % lose some weight`);
  }).timeout(600_000);

  it('gives weights in proportion above the tolerance, and none far above', () => {
    const row = (norm: number): Int32Array =>
      new Int32Array(K).fill(Math.round((norm * 2 ** FORMAT.fractionBits) / Math.SQRT2));
    const { weights, reasons } = normScaling.weigh({
      classWeights: [16, 16, 16, 16, 4],
      projections: [row(4), row(4.99), row(8.1), row(65), row(8.1)],
      format: FORMAT,
      vectorNorms: new Array<number>(K).fill(16),
    });
    expect(weights).to.deep.equal([16, 16, 7, 0, 1]);
    expect(reasons).to.deep.equal([undefined, undefined, 'NORM_SCALED', 'NORM_EXCEEDED', 'NORM_SCALED']);
  });

  it('needs projections, one row of K a vehicle', () => {
    const input: WeightInput = { classWeights: [1], projections: [new Int32Array()], format: FORMAT, vectorNorms: [] };
    expect(secureError(() => normScaling.weigh(input)).code).to.equal('SECURE_OPTION_INVALID');
    const short = { ...input, vectorNorms: [1, 1] };
    Object.values(WEIGHT_RULES).forEach((rule) => {
      expect(secureError(() => rule.weigh(short)).code).to.equal('SECURE_OPTION_INVALID');
      expect(secureError(() => rule.weigh({ ...input, projections: [] })).code).to.equal('SECURE_OPTION_INVALID');
    });
  });
});

describe('Uniform weights', () => {
  it('are those of the class, and 0 for a projection that no update within twice the clip has', () => {
    const range = 2 * FORMAT.clip * 2 ** FORMAT.fractionBits;
    const { weights, reasons } = uniform.weigh({
      classWeights: [3, 5, 7],
      projections: [Int32Array.of(range * 2, 0), Int32Array.of(0, -range * 3 - 1), Int32Array.of(-(2 ** 31), 0)],
      format: FORMAT,
      vectorNorms: [2, 3],
    });
    expect(weights).to.deep.equal([3, 0, 0]);
    expect(reasons).to.deep.equal([undefined, 'RANGE_EXCEEDED', 'RANGE_EXCEEDED']);
  });

  it('need no projections', () => {
    const projections = [new Int32Array(), new Int32Array()];
    const { weights } = uniform.weigh({ classWeights: [1, 64], projections, format: FORMAT, vectorNorms: [] });
    expect(weights).to.deep.equal([1, 64]);
  });
});
