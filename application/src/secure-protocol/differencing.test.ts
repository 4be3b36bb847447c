// SPDX-License-Identifier: Apache-2.0
import { smallestGroup } from '@sev/chaincode/api';
import { expect } from 'chai';
import { SevError } from '../errors.js';
import { FULL, seededRandom } from '../e2e/testing/seed.js';
import type { AttemptRef } from '../services/attempt.js';
import { weightsOf } from '../services/secure-scores.js';
import { SecureBed } from '../testing/secure-bed.js';
import { runKilled } from './testing/killed.js';
import { attemptsOf, expectSound, runToEnd, type Attempt } from './testing/outcome.js';

const VEHICLES = 6;
const MINIMUM = 3;
const SCHEDULES = FULL ? 60 : 3;
/** What no aggregator answers in an attempt; undefined: all answer. */
const FAILING = [undefined, 'holdings', 'projections', 'sums', 'publish', 'publish'] as const;

/** Attempts whose component sums the ledger let everybody show. */
const isOpened = ({ round }: Attempt): boolean => round.secure?.sums !== undefined;

describe('sums that are opened one after the other', () => {
  const random = seededRandom('differencing');
  let bed: SecureBed;
  afterEach(() => bed.stop());

  /** Makes all aggregators fail one call in an attempt. */
  function fail(callOf: (attempt: number) => string | undefined): void {
    for (const mspId of bed.aggregatorIds) {
      bed.around.set(mspId, ({ method, args, proceed }) =>
        method === callOf((args[0] as AttemptRef).attempt)
          ? Promise.reject(new SevError('SERVICE_UNREACHABLE', 'down'))
          : proceed(),
      );
    }
  }

  const start = () => SecureBed.start({ vehicles: VEHICLES, minimum: MINIMUM, terms: { openedShareMilli: 38 } });
  const endOf = ({ round }: Attempt): unknown => round.abortReason ?? round.state;

  /** The sums of the first attempt are shown; without the first vehicle in the second. */
  async function loseOne(): Promise<Attempt[]> {
    fail((attempt) => (attempt === 1 ? 'publish' : undefined));
    bed.fleet.drops = (index, { attempt }) => (index === 0 && attempt === 2 ? 'before-share' : undefined);
    await runToEnd(bed, { maxAttempts: 2 });
    await expectSound(bed);
    return attemptsOf(bed);
  }

  it('are refused where they differ in one vehicle, and no cohort could count without it', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES - 1, minimum: MINIMUM });
    const attempts = await loseOne();
    expect(attempts.map(isOpened)).to.deep.equal([true, false]);
    expect(attempts.map(endOf)).to.deep.equal(['AGGREGATORS_MISSING', 'COHORT_TOO_CLOSE']);
    expect(attempts[1]!.round.secure!.openedProjections, 'of the first alone').to.equal(2);
  });

  it('may be without one vehicle, where as many as the minimum count nothing with it', async () => {
    bed = await SecureBed.start({ vehicles: 2 * VEHICLES, minimum: MINIMUM });
    const attempts = await loseOne();
    expect(attempts.map(endOf)).to.deep.equal(['AGGREGATORS_MISSING', 'finalised']);
    const { scores } = await bed.learning.scores({ taskId: bed.task.taskId, round: 1, attempt: 2 });
    expect(scores.weights.filter((weight) => weight === 0)).to.have.length(MINIMUM - 1);
  });

  for (const [story, isLong, weights] of [
    ['was too long in the first', (attempt: number) => attempt === 1, [0, 4, 4, 4, 4, 4]],
    ['is too long in the second', (attempt: number) => attempt === 2, [0, 0, 0, 12, 12, 12]],
  ] as const) {
    it(`may be of the same vehicles where one ${story}: nobody stands apart`, async () => {
      bed = await SecureBed.start({ vehicles: VEHICLES, minimum: MINIMUM, terms: { rule: 'norm-scaling' } });
      fail((attempt) => (attempt === 1 ? 'publish' : undefined));
      // A vehicle notes its training before it asks how long its update is.
      const attemptNow = (): number => Math.ceil(bed.fleet.trainings.length / VEHICLES);
      bed.fleet.stretch = (index) => (index === 0 && isLong(attemptNow()) ? 100_000 : 1);
      await runToEnd(bed, { maxAttempts: 2 });
      const attempts = await attemptsOf(bed);
      expect(attempts.map(isOpened)).to.deep.equal([true, true]);
      expect(attempts.map(endOf)).to.deep.equal(['AGGREGATORS_MISSING', 'finalised']);
      const { scores } = await bed.learning.scores({ taskId: bed.task.taskId, round: 1, attempt: 2 });
      expect([...scores.weights].sort((a, b) => a - b)).to.deep.equal(weights);
    });
  }

  it('may be of the same vehicles, and two on one base at the most', async () => {
    bed = await start();
    fail((attempt) => (attempt <= 2 ? 'publish' : undefined));
    expect(await runToEnd(bed, { maxAttempts: 4 })).to.include('BASE_BURNED');
    await expectSound(bed);
    const attempts = await attemptsOf(bed);
    expect(attempts.map(isOpened)).to.deep.equal([true, true]);
    expectDisjointReports(attempts);
  });

  for (let schedule = 0; schedule < SCHEDULES; schedule++) {
    it(`never share a report, nor differ in few vehicles, nor pass a budget (schedule ${schedule})`, async () => {
      bed = await start();
      const failing = Array.from({ length: 5 }, () => FAILING[random.below(FAILING.length)]);
      fail((attempt) => failing[attempt]);
      const leaving = Array.from({ length: 5 }, () => random.below(2 * VEHICLES));
      bed.fleet.drops = (index, { attempt }) => (leaving[attempt] === index ? 'before-share' : undefined);
      for (let turn = 0; turn < 3; turn++) {
        const mspId = ['GridOperatorMSP', 'CityMSP'][random.below(2)]!;
        await runKilled(bed, 20 + random.below(120), { mspId, lastRound: 2, maxAttempts: 3 });
      }
      await runToEnd(bed, { lastRound: 2, maxAttempts: 3 });
      await expectSound(bed);
      const attempts = await attemptsOf(bed);
      expectDisjointReports(attempts.filter(isOpened));
      await expectWideDifferences(bed, attempts.filter(isOpened));
      expectWithinBudget(bed, attempts);
    });
  }
});

function expectDisjointReports(opened: readonly Attempt[]): void {
  const reports = opened.flatMap(({ members }) => members.map(({ updateHash }) => updateHash));
  expect(reports).to.have.length(new Set(reports).size);
}

/** From one base a vehicle learns the same again: what remains of a combination of sums is nobody, or a whole cohort. */
async function expectWideDifferences(bed: SecureBed, opened: readonly Attempt[]): Promise<void> {
  for (const round of new Set(opened.map((attempt) => attempt.round.round))) {
    const onBase = opened.filter((attempt) => attempt.round.round === round);
    const sums = await Promise.all(onBase.map((attempt) => weightsOf(bed.learning, bed.task, attempt.round)));
    expect(smallestGroup(sums), 'vehicles that all sums count alike').to.be.at.least(MINIMUM);
  }
  for (const round of new Set(opened.map((attempt) => attempt.round.round))) {
    expect(opened.filter((attempt) => attempt.round.round === round).length).to.be.at.most(2);
  }
}

function expectWithinBudget(bed: SecureBed, attempts: readonly Attempt[]): void {
  const { projections, openedShareMilli } = bed.task.secure!;
  const fixed = attempts.filter(({ round }) => round.secure?.cohortHash !== undefined);
  const most = Math.floor((bed.task.model.parameters * openedShareMilli) / 1_000);
  expect(projections * fixed.length, 'projections of one vehicle').to.be.at.most(most);
  fixed.forEach(({ round }, index) => {
    expect(round.secure!.openedProjections).to.equal(projections * (index + 1));
  });
}
