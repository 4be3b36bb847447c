// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import {
  scoredWeights,
  sha256Hex,
  smallestGroup,
  type CohortRecord,
  type Task,
  type WeightedCohort,
} from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask } from '../run/learning-task.js';
import { FULL, seededRandom } from '../e2e/testing/seed.js';
import { computeScores } from './secure-scores.js';

const K = 8;
const TRIALS = FULL ? 1_000 : 60;
const REF = { taskId: 'price', round: 1, attempt: 1 };

function taskOf(vehicles: number, minimumCohort?: number): Task {
  const options = { taskId: 'price', vehicles, rounds: 3, seed: 1, trainingRows: 100 * vehicles };
  const aggregators = ['CityMSP', 'GridOperatorMSP', 'ManufacturerMSP'];
  const minimum = minimumCohort === undefined ? {} : { minimumCohort };
  return priceTask({ ...options, privacy: 'secure', aggregators, ...minimum }).task;
}

/** Scores where each vehicle's projections are those of an update of this norm, in multiples of the clip. */
function scoresOf(
  task: Task,
  classes: readonly number[],
  norms: readonly number[],
  { shown = [], seed = sha256Hex('seed') }: { readonly shown?: readonly WeightedCohort[]; readonly seed?: string } = {},
) {
  const members: CohortRecord['members'] = classes.map((weightClass, index) => ({
    vehicleId: `v-${String(index).padStart(3, '0')}`,
    updateHash: sha256Hex(`update ${String(index)}`),
    weightClass,
  }));
  const { clipMilli, fractionBits } = task.secure!;
  const clip = (clipMilli / 1_000) * 2 ** fractionBits;
  const values = norms.flatMap((norm) => new Array<number>(K).fill(Math.round((norm * clip) / Math.SQRT2)));
  const numbers = { '0': Buffer.from(Int32Array.from(values).buffer).toString('base64') };
  const scores = computeScores({ task, ref: REF, cohortHash: sha256Hex('cohort'), members, seed, numbers, shown });
  return { scores, counted: scoredWeights({ members }, { scores, seed }, task.secure!.shardSize) };
}

describe('The weights of a cohort', () => {
  it('are those of the class, without reasons, where all vehicles of a default run are in one', () => {
    const task = taskOf(20);
    const { scores } = scoresOf(task, new Array<number>(20).fill(2), new Array<number>(20).fill(1));
    expect(scores.weights).to.deep.equal(new Array<number>(20).fill(21));
    expect(scores.reasons).to.deep.equal([]);
  });

  it('are evened out with a reason where a class is rare', () => {
    const classes = [3, ...new Array<number>(19).fill(2)];
    const { scores } = scoresOf(taskOf(20), classes, new Array<number>(20).fill(1));
    expect(scores.weights).to.deep.equal(new Array<number>(20).fill(21));
    expect(scores.reasons).to.deep.equal([{ vehicleId: 'v-000', reason: 'EVENED' }]);
  });

  it('keep the rule’s own reason for a vehicle that evening leaves out', () => {
    const norms = [1.5, 100, ...new Array<number>(18).fill(1)];
    const { scores } = scoresOf(taskOf(20), new Array<number>(20).fill(2), norms);
    expect(scores.weights).to.deep.equal([0, 0, ...new Array<number>(18).fill(21)]);
    expect(scores.reasons.map(({ reason }) => reason)).to.deep.equal(['NORM_SCALED', 'NORM_EXCEEDED']);
  });

  it(`remain those of the class beside sums that counted the same vehicles alike`, () => {
    const task = taskOf(20);
    const classes = Array.from({ length: 20 }, (_, index) => 1 + (index % 2));
    const first = scoresOf(task, classes, new Array<number>(20).fill(1), { seed: sha256Hex('first') });
    const second = scoresOf(task, classes, new Array<number>(20).fill(1), { shown: [first.counted] });
    expect(second.scores.weights).to.deep.equal(first.scores.weights);
  });

  it('leave out whom shown sums left out, and others with whom they had counted', () => {
    const task = taskOf(20, 4);
    const classes = new Array<number>(20).fill(2);
    const normal = new Array<number>(20).fill(1);
    const [long, ...rest] = [100, ...normal.slice(1)];
    const without = scoresOf(task, classes, [long, ...rest]);
    const again = scoresOf(task, classes, normal, { shown: [without.counted] });
    expect(again.scores.weights).to.deep.equal(without.scores.weights);
    expect(again.scores.reasons).to.deep.equal([{ vehicleId: 'v-000', reason: 'EVENED' }]);
    const all = scoresOf(task, classes, normal);
    const apart = scoresOf(task, classes, [long, ...rest], { shown: [all.counted] });
    expect(apart.scores.weights.filter((weight) => weight === 0)).to.have.length(4);
    expect(apart.scores.weights[0], 'believed once is not believed again').to.equal(0);
  });

  it(`count nobody, or at least the minimum, alike in all sums on a base (${String(TRIALS)} pairs)`, () => {
    const random = seededRandom('beside shown sums');
    for (let trial = 0; trial < TRIALS; trial++) {
      const size = 20 + random.below(60);
      const base = taskOf(size, 3 + random.below(4));
      const task = { ...base, secure: { ...base.secure!, shardSize: 16 + random.below(size) } };
      const classes = Array.from({ length: size }, () => random.below(4));
      const norms = () => Array.from({ length: size }, () => (random.below(4) === 0 ? 1 + random.below(700) / 100 : 1));
      const first = scoresOf(task, classes, norms(), { seed: sha256Hex(`first ${String(trial)}`) });
      const own = norms();
      const second = scoresOf(task, classes, own, { shown: [first.counted] });
      expect(smallestGroup([first.counted, second.counted])).to.be.at.least(task.cohort.minimum);
      const unbelieved = second.scores.reasons.filter(({ reason }) => reason === 'NORM_EXCEEDED');
      const counted = unbelieved.filter(({ vehicleId }) => second.counted.get(vehicleId)!.weight > 0);
      expect(counted, 'believed once is not believed again').to.deep.equal([]);
    }
  });

  it(`count nobody, or at least the minimum, alike in each shard (${String(TRIALS)} cohorts)`, () => {
    const random = seededRandom('groups');
    for (let trial = 0; trial < TRIALS; trial++) {
      const size = 20 + random.below(60);
      const base = taskOf(size, 3 + random.below(4));
      const task = { ...base, secure: { ...base.secure!, shardSize: 16 + random.below(size) } };
      const classes = Array.from({ length: size }, () => random.below(4));
      const norms = Array.from({ length: size }, () => (random.below(3) === 0 ? 1 + random.below(700) / 100 : 1));
      const { counted } = scoresOf(task, classes, norms);
      expect(smallestGroup([counted])).to.be.at.least(task.cohort.minimum);
    }
  });
});
