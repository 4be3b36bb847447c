// SPDX-License-Identifier: Apache-2.0
import { floorProblem, heTermsProblem, secureTermsProblem, type PrivacyMode } from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask, type TaskOptions } from './learning-task.js';

const AGGREGATORS = ['AMSP', 'BMSP', 'CMSP'];

function taskOf(privacy: PrivacyMode, vehicles: number, change: Partial<TaskOptions> = {}) {
  const options = { taskId: 'price-1', vehicles, rounds: 10, seed: 1, trainingRows: 100 * vehicles };
  const differentialPrivacy = { epsilon: 8, deltaExponent: 5 };
  return priceTask({ ...options, privacy, aggregators: AGGREGATORS, differentialPrivacy, ...change });
}

describe('Tasks of the product', () => {
  const modes = [
    ['secure', {}],
    ['secure', { ringBits: 16 }],
    ['dp', {}],
    ['he', {}],
  ] as const;
  for (const [privacy, change] of modes) {
    it(`are taken by the contract, however many vehicles there are (${privacy} ${JSON.stringify(change)})`, () => {
      for (const vehicles of [5, 20, 126, 127, 128, 129, 1_000]) {
        const { task } = taskOf(privacy, vehicles, change);
        expect(secureTermsProblem(task) ?? heTermsProblem(task) ?? floorProblem(task), `${vehicles}`).to.equal(
          undefined,
        );
      }
    });

    it(`sum no numbers of rows, which two sums would give of a vehicle (${privacy} ${JSON.stringify(change)})`, () => {
      const { secure, he } = taskOf(privacy, 20, change).task;
      expect((secure ?? he)?.metrics).to.not.include('samples');
    });
  }

  it('begin with a model of their own where updates are kept secret, the same for the same id and seed', () => {
    const hashOf = (privacy: PrivacyMode, taskId: string, seed = 1): string =>
      taskOf(privacy, 20, { taskId, seed }).task.model.initialModelHash;
    expect(hashOf('secure', 'a')).to.equal(hashOf('secure', 'a')).and.to.not.equal(hashOf('secure', 'b'));
    expect(hashOf('secure', 'a')).to.not.equal(hashOf('secure', 'a', 2));
    expect(hashOf('plain', 'a')).to.equal(hashOf('plain', 'b'));
  });
});
