// SPDX-License-Identifier: Apache-2.0
import type { SecureTerms, Task } from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask } from '../run/learning-task.js';
import { reasonToAbstain } from './task-choice.js';

const CHOICE = { plain: false, he: false, maxEpsilon: 10 };
const SIZE = { taskId: 'price-1', vehicles: 20, rounds: 10, seed: 1, trainingRows: 2_000 };
const AGGREGATORS = ['AMSP', 'BMSP', 'CMSP'];

function taskOf(privacy: Task['privacy'], epsilon = 8): Task {
  const terms = { aggregators: AGGREGATORS, differentialPrivacy: { epsilon, deltaExponent: 5 } };
  return priceTask({ ...SIZE, privacy, ...terms }).task;
}

function secureWith(terms: Partial<SecureTerms>, change: Partial<Task> = {}): Task {
  const task = taskOf('secure');
  return { ...task, ...change, secure: { ...task.secure!, ...terms } };
}

describe('What vehicles take part in', () => {
  it('is every task that the product makes, of modes plain and he only where they were told so', () => {
    for (const privacy of ['secure', 'dp'] as const) {
      expect(reasonToAbstain(taskOf(privacy), CHOICE), privacy).to.equal(undefined);
    }
    for (const privacy of ['plain', 'he'] as const) {
      expect(reasonToAbstain(taskOf(privacy), CHOICE)).to.include(`mode ${privacy}`);
      expect(reasonToAbstain(taskOf(privacy), { ...CHOICE, [privacy]: true })).to.equal(undefined);
    }
    expect(reasonToAbstain(taskOf('he'), { ...CHOICE, plain: true })).to.include('mode he');
    expect(reasonToAbstain(taskOf('plain'), { ...CHOICE, he: true })).to.include('mode plain');
  });

  const tooLow: readonly (readonly [string, Task, string])[] = [
    ['sums of two', secureWith({}, { cohort: { minimum: 2, target: 20 } }), 'cohort.minimum'],
    ['projections of all of an update', secureWith({ openedShareMilli: 1_000 }), 'secure.openedShareMilli'],
    ['shards of three', secureWith({ shardSize: 3 }), 'secure.shardSize'],
  ];
  for (const [what, task, path] of tooLow) {
    it(`is no task with ${what}, though a contract took it`, () => {
      expect(reasonToAbstain(task, { ...CHOICE, plain: true, he: true })).to.include(path);
    });
  }

  it('is no task whose whole budget comes to more than they spend', () => {
    expect(reasonToAbstain(taskOf('dp', 10), CHOICE)).to.equal(undefined);
    expect(reasonToAbstain(taskOf('dp', 10.1), CHOICE)).to.include('ε = 10.1');
    expect(reasonToAbstain(taskOf('dp', 10.1), { ...CHOICE, maxEpsilon: 11 })).to.equal(undefined);
  });

  it('does not follow from a δ that would make any budget look small', () => {
    const task = taskOf('dp', 40);
    const dp = { ...task.secure!.dp!, deltaExponent: 1 };
    expect(reasonToAbstain({ ...task, secure: { ...task.secure!, dp } }, { ...CHOICE, maxEpsilon: 39 })).to.include(
      '40.0',
    );
  });
});
