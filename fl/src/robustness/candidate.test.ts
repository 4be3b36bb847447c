// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { initialServerState, serverStep, type ServerOptimiser } from '../aggregation/server-optimiser.js';
import { newRandom } from '../random.js';
import { distance } from '../vectors.js';
import {
  Candidate,
  chosenDepth,
  depthsOf,
  type CandidateTerms,
  type CorrectionStep,
  type RoundStep,
} from './candidate.js';
import type { ServerPoint } from './correction.js';

const D = 20;
const F = 11;
const NONE: ServerOptimiser = { kind: 'none' };
const ADAM: ServerOptimiser = { kind: 'adam', rate: 0.1, beta1: 0.9, beta2: 0.99, tau: 0.01 };

const random = newRandom(7);
const integers = (): Int32Array => Int32Array.from({ length: D }, () => Math.floor(random.uniform() * 4_000) - 2_000);

/** What each of five vehicles reports in a round, with its weight; vehicle 2 is the culprit. */
const CULPRIT = 2;
const WEIGHTS = [4, 6, 12, 4, 6];
const rounds = [1, 2, 3, 4].map(() => WEIGHTS.map(integers));

function start(optimiser: ServerOptimiser) {
  return { parameters: new Float32Array(D).fill(0.5), state: initialServerState(optimiser, D) };
}

/** The models that rounds make of these vehicles, by the arithmetic of secure rounds. */
function models(optimiser: ServerOptimiser, counts: (vehicle: number, round: number) => boolean): Float32Array[] {
  let { parameters: model, state }: ServerPoint = start(optimiser);
  return rounds.map((updates, index) => {
    const in_ = WEIGHTS.map((weight, vehicle) => (counts(vehicle, index + 1) ? weight : 0));
    const weight = in_.reduce((sum, one) => sum + one, 0);
    const average = model.map((value, i) => {
      const total = updates.reduce((sum, update, vehicle) => sum + in_[vehicle]! * update[i]!, 0);
      return value + total / (weight * 2 ** F);
    });
    const next = serverStep(optimiser, model, average, state);
    model = next.parameters;
    state = next.state;
    return model;
  });
}

function step(round: number, isDisputed: boolean): RoundStep {
  const updates = rounds[round - 1]!;
  const total = Float64Array.from({ length: D + 1 }, (_, i) =>
    updates.reduce((sum, update, vehicle) => sum + WEIGHTS[vehicle]! * (update[i] ?? 9), 0),
  );
  const weight = WEIGHTS.reduce((sum, one) => sum + one, 0);
  const culprit = isDisputed ? { weight: WEIGHTS[CULPRIT]!, update: updates[CULPRIT]! } : undefined;
  return { kind: 'round', round, total, weight, culprit };
}

function candidate(optimiser: ServerOptimiser, steps: readonly CorrectionStep[], fromRound = 1): Float32Array {
  const terms: CandidateTerms = { optimiser, fractionBits: F, fromRound, marks: new Set([2]) };
  const made = new Candidate(start(optimiser), terms);
  steps.forEach((one) => {
    made.take(one);
  });
  return made.model;
}

describe('The model without the culprit', () => {
  for (const optimiser of [NONE, ADAM]) {
    it(`is, bit for bit, what the others alone had made of their reports (${optimiser.kind})`, () => {
      const expected = models(optimiser, (vehicle) => vehicle !== CULPRIT).at(-1)!;
      const all = [1, 2, 3, 4].map((round) => step(round, true));
      expect(candidate(optimiser, all)).to.deep.equal(expected);
    });

    it(`keeps what rounds that are not disputed came to (${optimiser.kind})`, () => {
      const disputed = new Set([2, 3]);
      const expected = models(optimiser, (vehicle, round) => vehicle !== CULPRIT || !disputed.has(round)).at(-1)!;
      expect(
        candidate(
          optimiser,
          [1, 2, 3, 4].map((round) => step(round, disputed.has(round))),
        ),
      ).to.deep.equal(expected);
    });
  }

  it('may leave the culprit in the rounds before one', () => {
    const all = [1, 2, 3, 4].map((round) => step(round, true));
    const expected = models(ADAM, (vehicle, round) => vehicle !== CULPRIT || round < 3).at(-1)!;
    expect(candidate(ADAM, all, 3)).to.deep.equal(expected);
  });

  it('is the present model where nothing was the culprit’s', () => {
    const present = models(NONE, () => true).at(-1)!;
    expect(
      candidate(
        NONE,
        [1, 2, 3, 4].map((round) => step(round, false)),
      ),
    ).to.deep.equal(present);
  });

  it('is not moved by a round in which nobody else counted', () => {
    const alone: RoundStep = { ...step(2, true), weight: WEIGHTS[CULPRIT]! };
    expect(candidate(ADAM, [step(1, false), alone, step(3, false)])).to.deep.equal(
      candidate(ADAM, [step(1, false), step(3, false)]),
    );
  });

  it('follows an earlier correction back to what a round began with', () => {
    const undone: CorrectionStep = { kind: 'undone', toRound: 2 };
    const after = candidate(ADAM, [step(1, true), step(2, true), step(3, true), undone, step(4, true)]);
    expect(after).to.deep.equal(candidate(ADAM, [step(1, true), step(4, true)]));
    const further: CorrectionStep = {
      kind: 'undone',
      toRound: 0,
      began: { ...start(NONE), parameters: integersAsModel },
    };
    expect(candidate(NONE, [step(1, true), further])).to.deep.equal(integersAsModel);
  });
  const integersAsModel = Float32Array.from(integers());

  it('moves as an earlier correction moved the model that others had', () => {
    const [, second] = models(NONE, () => true);
    const to = second!.map((value) => value + 1);
    const kept: CorrectionStep = { kind: 'moved', from: second!, to, toRound: 1 };
    const before = candidate(NONE, [step(1, true), step(2, true)]);
    const after = candidate(NONE, [step(1, true), step(2, true), kept]);
    after.forEach((value, i) => expect(value).to.be.closeTo(before[i]! + 1, 1e-5));
  });
});

describe('How far back a culprit is taken out', () => {
  it('is tried for every number of rounds where they are few, else for sixteen, all among them', () => {
    expect(depthsOf(3)).to.deep.equal([1, 2, 3]);
    expect(depthsOf(0)).to.deep.equal([]);
    const many = depthsOf(50);
    expect(many).to.have.length(16);
    expect(many.at(-1)).to.equal(50);
  });

  it('is where the loss is lowest, and of equal ones the least', () => {
    const tried = [3, 1, 2].map((takenOut) => ({ takenOut, lossMicro: takenOut === 3 ? 9 : 7 }));
    expect(chosenDepth(tried)).to.equal(1);
    expect(chosenDepth([])).to.equal(undefined);
  });
});

describe('The distance of models', () => {
  it('is Euclidean', () => {
    expect(distance(Float32Array.of(1, 2, 3), Float32Array.of(4, 6, 3))).to.equal(5);
  });
});
