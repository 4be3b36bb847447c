// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newRandom } from '../random.js';
import { secureError } from '../testing/errors.js';
import { contributionOf } from './contribution.js';
import { correctedRound, type CorrectedRound } from './correction.js';
import { estimateNorm, median, referenceCosines, comparePairs } from './evidence.js';
import { addSuspicion, QUARANTINE_MILLI, quarantineMilliOf, ROUND_LIMIT_MILLI, suspicionOf } from './suspicion.js';
import { commonDirection, FORMAT, honestUpdate, inputOf } from './testing/cohort.js';

const VEHICLES = 20;

function inputWith(first: Float32Array, seed = 1): ReturnType<typeof inputOf> {
  const random = newRandom(seed);
  const common = commonDirection(random);
  const others = Array.from({ length: VEHICLES - 1 }, () => honestUpdate(random, common));
  return inputOf(random, common, [first, ...others]);
}

describe('Evidence from projections', () => {
  it('estimates norms and cosines to within the spread of eight projections', () => {
    const random = newRandom(2);
    const common = commonDirection(random);
    const updates = Array.from({ length: 200 }, () => honestUpdate(random, common, 1));
    const input = inputOf(random, common, updates);
    const norms = input.projections.map((values) => estimateNorm(values) / 2 ** FORMAT.fractionBits);
    expect(median(norms)).to.be.closeTo(1, 0.1);
    expect(median(referenceCosines(input.projections, input.reference!))).to.be.closeTo(0.5, 0.06);
  });

  it('compares only rounds in which two vehicles took part together', () => {
    const one = Int32Array.of(5, -3, 9);
    const rounds = [
      [one, one, undefined, Int32Array.of(-5, 3, -9)],
      [Int32Array.of(1, 0, 0), undefined, Int32Array.of(0, 1, 0), Int32Array.of(0, 0, 1)],
    ];
    const pairs: Record<string, readonly [cosine: number, common: number]> = {};
    comparePairs(rounds, 4, (i, j, cosine, common) => {
      pairs[`${i}${j}`] = [cosine, common];
    });
    expect(pairs).to.have.all.keys('01', '02', '03', '12', '13', '23');
    expect(pairs['01']![1]).to.equal(1);
    expect(pairs['12']).to.deep.equal([0, 0]);
    expect(pairs['03']![1]).to.equal(2);
  });
});

describe('Suspicion', () => {
  it('speaks for vehicles that go with the reference, and against those that go the other way', () => {
    const random = newRandom(1);
    const common = commonDirection(random);
    const [honest, ...others] = suspicionOf(inputWith(honestUpdate(random, common)));
    others.forEach((milli) => expect(milli).to.be.below(0));
    expect(honest).to.be.below(0);
    const hostile = suspicionOf(inputWith(honestUpdate(random, common).map((value) => -value)));
    expect(hostile[0]).to.equal(ROUND_LIMIT_MILLI);
  });

  it('takes an update of zeros, a very long one and one out of range for what they are', () => {
    const random = newRandom(1);
    const common = commonDirection(random);
    for (const factor of [0, 0.01, 20, 1e6]) {
      const update = honestUpdate(random, common).map((value) => factor * value);
      expect(suspicionOf(inputWith(update))[0], `× ${factor}`).to.be.within(ROUND_LIMIT_MILLI, QUARANTINE_MILLI - 1);
    }
  });

  it('adds up over rounds, forgets good conduct, and needs more than one round for quarantine', () => {
    expect([3_000, -9_000, 2_000].reduce(addSuspicion, 0)).to.equal(2_000);
    expect(ROUND_LIMIT_MILLI).to.be.below(QUARANTINE_MILLI);
  });

  it('never speaks against a vehicle that still goes with the reference, however much further the others do', () => {
    const input = inputWith(new Float32Array(512));
    const { norm } = input.reference!;
    const pulls = [0.04, 0.02, 0.2, ...input.projections.slice(3).map(() => 0.4)];
    const projections = input.projections.map(() => input.projections[1]!);
    const length = estimateNorm(projections[0]!);
    const products = Int32Array.from(pulls, (pull) => Math.round(pull * length * norm));
    const [with4, with2, with20, usual] = suspicionOf({ ...input, projections, reference: { products, norm } });
    expect(with2).to.be.greaterThan(0);
    expect(with4, 'nor for one that hardly goes with it').to.equal(0);
    expect(with20).to.be.below(0).and.to.be.above(usual!);
  });

  it('asks for more of larger fleets, which have more chances of a wrong accusation', () => {
    expect([1, 5, 20].map(quarantineMilliOf)).to.deep.equal([QUARANTINE_MILLI, QUARANTINE_MILLI, QUARANTINE_MILLI]);
    expect([100, 1_000].map(quarantineMilliOf)).to.deep.equal([20_062, 20_062]);
  });

  it('says more in a round where a task asks for more evidence, but never enough by itself', () => {
    const random = newRandom(1);
    const common = commonDirection(random);
    const saidOf = (update: Float32Array, quarantineMilli: number) =>
      suspicionOf({ ...inputWith(update), quarantineMilli })[0]!;
    const opposed = honestUpdate(random, common).map((value) => -value);
    const long = honestUpdate(random, common).map((value) => 20 * value);
    for (const vehicles of [1, 20, 50, 100, 1_000]) {
      const threshold = quarantineMilliOf(vehicles);
      expect(saidOf(opposed, threshold), `${vehicles}`).to.be.within(0.83 * threshold, threshold - 1);
      expect(saidOf(long, threshold), `${vehicles}`).to.be.within(0.98 * threshold, threshold - 1);
    }
    expect([1, 1_000_000].map((threshold) => saidOf(long, threshold))).to.deep.equal([5_900, 19_728]);
    const honest = honestUpdate(random, common);
    expect(saidOf(honest, 20_062)).to.equal(saidOf(honest, 6_000));
  });

  it('needs projections and a reference', () => {
    const { reference: _, ...without } = inputWith(new Float32Array(512));
    expect(secureError(() => suspicionOf(without)).code).to.equal('SECURE_OPTION_INVALID');
  });
});

describe('Contributions', () => {
  it('are the move along the reference, and add up to that of the weighted mean', () => {
    const random = newRandom(3);
    const common = commonDirection(random);
    const updates = Array.from({ length: 5 }, () => honestUpdate(random, common));
    const input = inputOf(random, common, updates);
    const weights = [64, 0, 64, 64, 48];
    const scores = contributionOf(input, weights);
    expect(scores[1]).to.equal(0);
    const total = weights.reduce((a, b) => a + b, 0);
    const mean = common.map((_, i) => updates.reduce((sum, u, v) => sum + weights[v]! * u[i]!, 0) / total);
    const along = mean.reduce((sum, value, i) => sum + value * common[i]!, 0);
    expect(scores.reduce((a, b) => a + b, 0)).to.be.closeTo(1e6 * along, 2_000);
    expect([...contributionOf(input, [0, 0, 0, 0, 0])]).to.deep.equal([0, 0, 0, 0, 0]);
  });

  it('are at most twice the median of those above nothing, however far an update goes along the reference', () => {
    const random = newRandom(4);
    const common = commonDirection(random);
    const honest = Array.from({ length: 7 }, () => honestUpdate(random, common));
    const input = inputOf(random, common, [common.map((value) => 3 * value), ...honest]);
    const weights = new Array<number>(8).fill(64);
    const [first, ...others] = contributionOf(input, weights);
    const positive = [...others].filter((score) => score > 0).sort((a, b) => a - b);
    // The lower middle of eight with the first as the highest.
    expect(first).to.equal(2 * positive[3]!);
    expect(first! / 2).to.be.greaterThan(0);
    const against = contributionOf(
      inputOf(
        random,
        common,
        honest.map((u) => u.map((x) => -x)),
      ),
      weights.slice(1),
    );
    expect([...against].every((score) => score < 0 || score === 0)).to.equal(true);
    expect(Math.min(...against)).to.be.below(0);
  });
});

describe('A correction', () => {
  const base = Float32Array.of(1, 2);
  const honest = [Int32Array.of(2_048, 0), Int32Array.of(0, 2_048)];
  const culprit = Int32Array.of(-40_960, 4_096);
  const total = Int32Array.from(base, (_, i) => 2 * honest[0]![i]! + 2 * honest[1]![i]! + 3 * culprit[i]!);

  const corrected = (round: CorrectedRound): number[] => [
    ...correctedRound({ parameters: base, state: new Float32Array() }, round, FORMAT, { kind: 'none' }).parameters,
  ];

  it('gives exactly the model of the sum without the culprit', () => {
    const removed = [{ update: culprit, weight: 3 }];
    expect(corrected({ total, weight: 7, removed })).to.deep.equal([1.5, 2.5]);
  });

  it('leaves a round alone of which nothing is removed, and refuses to remove all', () => {
    expect(corrected({ total: Int32Array.of(4_096, 0), weight: 2, removed: [] })).to.deep.equal([2, 2]);
    const all = { total, weight: 3, removed: [{ update: culprit, weight: 3 }] };
    expect(() => corrected(all)).to.throw('CORRECTION_EMPTY');
  });
});
