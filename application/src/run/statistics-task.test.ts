// SPDX-License-Identifier: Apache-2.0
import {
  floorProblem,
  heTermsProblem,
  secureTermsProblem,
  sumsMicroRho,
  weightClassOf,
  type PrivacyMode,
} from '@sev/chaincode/api';
import { expect } from 'chai';
import { errorCode } from '../services/log.js';
import { reasonToAbstain } from '../vehicle/task-choice.js';
import { priceTask } from './learning-task.js';
import { statisticsTask } from './statistics-task.js';

const AGGREGATORS = ['AMSP', 'BMSP', 'CMSP'];
const PRIVACY = { epsilon: 8, deltaExponent: 5 };

function taskOf(privacy: PrivacyMode, vehicles = 20, width = 30, taskId = 'statistics-1') {
  const features = { name: 'statistics/trips-0123456789ab', width };
  const options = { taskId, vehicles, seed: 1, privacy, aggregators: AGGREGATORS, differentialPrivacy: PRIVACY };
  return statisticsTask(features, options);
}

describe('Tasks of statistics', () => {
  for (const privacy of ['secure', 'dp', 'he'] as const) {
    it(`are taken by contract and vehicles, whatever their size (${privacy})`, () => {
      for (const vehicles of [5, 20, 127, 1_000]) {
        for (const width of [5, 100, 5_000]) {
          const { task } = taskOf(privacy, vehicles, width);
          const problem = secureTermsProblem(task) ?? heTermsProblem(task) ?? floorProblem(task);
          expect(problem, `${String(vehicles)} × ${String(width)}`).to.equal(undefined);
          expect(reasonToAbstain(task, { plain: false, he: privacy === 'he', maxEpsilon: 10 })).to.equal(undefined);
        }
      }
    });
  }

  it('begin at zero but for a mark of their own, count all vehicles alike, and open nothing but sums', () => {
    const { task, initialModel } = taskOf('secure');
    const [mark, ...others] = new Float32Array(initialModel.buffer);
    expect(new Set(others)).to.deep.equal(new Set([0]));
    expect(mark).to.be.within(0, 1);
    expect(task.model.initialModelHash).not.to.equal(taskOf('secure', 20, 30, 'other').task.model.initialModelHash);
    expect(task.model.parameters).to.equal(30);
    expect(weightClassOf(task, 1)).to.equal(weightClassOf(task, 1_000_000));
    expect(task.secure).to.deep.include({ projections: 0, rule: 'uniform', metrics: [] });
  });

  it('are charged to a budget of their own in mode dp, which is no more than the promise', () => {
    const { task } = taskOf('dp');
    const charge = Number(sumsMicroRho(task));
    expect(charge).to.be.within(1, task.secure!.dp!.budgetMicroRho);
    expect(taskOf('secure').task.secure!.dp).to.equal(undefined);
  });

  it('leave a task that is scaled by them what they have not spent of the promise', () => {
    const budgetOf = (spentMicroRho: number) => {
      const options = { taskId: 'price-1', vehicles: 20, rounds: 10, seed: 1, trainingRows: 2_000 };
      const differentialPrivacy = { ...PRIVACY, spentMicroRho };
      const { task } = priceTask({ ...options, privacy: 'dp', aggregators: AGGREGATORS, differentialPrivacy });
      return task.secure!.dp!.budgetMicroRho;
    };
    expect(budgetOf(0) - budgetOf(100_000)).to.be.within(99_999, 100_001);
    let code: string | undefined;
    try {
      budgetOf(100_000_000);
    } catch (error) {
      code = errorCode(error);
    }
    expect(code).to.equal('EPSILON_TOO_SMALL');
  });
});
