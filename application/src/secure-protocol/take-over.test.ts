// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { FULL, seededRandom } from '../e2e/testing/seed.js';
import { SecureBed } from '../testing/secure-bed.js';
import { runKilled, stepsOf } from './testing/killed.js';
import { attemptsTrained, expectSound } from './testing/outcome.js';

const SAMPLED = 6;
const OPTIONS = { vehicles: 4 };
/** More than an undisturbed round takes: what is beyond its end kills nobody. */
const MOST_STEPS = 140;

describe('a coordinator that is killed', () => {
  const random = seededRandom('take-over');
  let bed: SecureBed;
  afterEach(() => bed.stop());

  it('takes fewer steps for a round than are tried here, every one of them between two of which it may die', async () => {
    bed = await SecureBed.start(OPTIONS);
    const steps = await stepsOf(bed);
    expect(steps.length).to.be.below(MOST_STEPS);
    for (const transaction of ['OpenRound', 'CloseRound', 'FixCohort', 'ScoreRound', 'CommitSums', 'FinaliseRound']) {
      expect(steps).to.include.members([`before ${transaction}`, `after ${transaction}`]);
    }
  });

  const all = Array.from({ length: MOST_STEPS }, (_, step) => step);
  for (const step of FULL ? all : Array.from({ length: SAMPLED }, () => random.below(100))) {
    it(`at step ${step} is replaced by another's: nothing counts twice, no vehicle trains again`, async () => {
      bed = await SecureBed.start(OPTIONS);
      const died = await runKilled(bed, step);
      await bed.run({ mspId: 'ManufacturerMSP' });
      const { round, members } = await expectSound(bed);
      expect([round.state, round.attempt], died).to.deep.equal(['finalised', 1]);
      expect(members, died).to.have.length(OPTIONS.vehicles);
      expect(attemptsTrained(bed).size, died).to.equal(1);
    });
  }
});
