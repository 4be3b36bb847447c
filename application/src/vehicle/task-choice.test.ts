// SPDX-License-Identifier: Apache-2.0
import type { SecureRound, SecureTerms, Task } from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask } from '../run/learning-task.js';
import { reasonToAbstain, reasonToSitOut, type TaskChoice } from './task-choice.js';

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

/** Code and text of the reason. */
function refusal(task: Task, choice: TaskChoice): string | undefined {
  const reason = reasonToAbstain(task, choice);
  return reason && `${reason.code} ${reason.message}`;
}

function validatedBy(validators: string[]): NonNullable<SecureTerms['validation']> {
  return { validators, pastRounds: 3, quarantineMilli: 6_000 };
}

/** An attempt after so many opened numbers, to whose opening these gave their word. */
function openedAs(openedProjections: number, validators: readonly string[]): SecureRound {
  const [dataHash, directionHash] = ['a'.repeat(64), 'b'.repeat(64)] as const;
  const validations = validators.map((mspId) => ({ mspId, dataHash, lossMicro: 1, directionHash, signature: '' }));
  return {
    opening: { aggregators: [], ...(validators.length === 0 ? {} : { validations }) },
    ...{ openingHash: '', openedProjections, chargedMicroRho: 0, shownAttempts: [] },
    ...{ disputes: [], faulty: [], accused: [] },
  };
}

describe('Which attempts vehicles sit out', () => {
  const task = secureWith({ rule: 'capped-trust', validation: validatedBy(AGGREGATORS) });
  const budget = Math.floor(task.model.parameters / 4);

  it('is none that opens what the task may open, nine numbers a round, along a direction that is bound before', () => {
    expect(reasonToSitOut(task, openedAs(0, AGGREGATORS))).to.equal(undefined);
    expect(reasonToSitOut(task, openedAs(budget - 9, AGGREGATORS))).to.equal(undefined);
    expect(reasonToSitOut(taskOf('secure'), openedAs(budget - 8, []))).to.equal(undefined);
  });

  it('is one that opens more than the task may', () => {
    expect(reasonToSitOut(task, openedAs(budget - 8, AGGREGATORS))).to.include(`more than its ${budget}`);
    expect(reasonToSitOut(taskOf('secure'), openedAs(budget - 7, []))).to.include(`more than its ${budget}`);
  });

  it('is one that binds nobody to a direction', () => {
    expect(reasonToSitOut(task, openedAs(0, []))).to.include('binds nobody');
  });
});

describe('What vehicles take part in', () => {
  it('is every task that the product makes, of modes plain and he only where they were told so', () => {
    for (const privacy of ['secure', 'dp'] as const) {
      expect(reasonToAbstain(taskOf(privacy), CHOICE), privacy).to.equal(undefined);
    }
    for (const privacy of ['plain', 'he'] as const) {
      expect(refusal(taskOf(privacy), CHOICE)).to.include(`MODE_NOT_TAKEN the task runs in mode ${privacy}`);
      expect(reasonToAbstain(taskOf(privacy), { ...CHOICE, [privacy]: true })).to.equal(undefined);
    }
    expect(refusal(taskOf('he'), { ...CHOICE, plain: true })).to.include('mode he');
    expect(refusal(taskOf('plain'), { ...CHOICE, he: true })).to.include('mode plain');
  });

  const tooLow: readonly (readonly [string, Task, string])[] = [
    ['sums of two', secureWith({}, { cohort: { minimum: 2, target: 20 } }), 'cohort.minimum'],
    ['projections of all of an update', secureWith({ openedShareMilli: 1_000 }), 'secure.openedShareMilli'],
    ['shards of three', secureWith({ shardSize: 3 }), 'secure.shardSize'],
    ['a direction that one of two may choose', secureWith({ validation: validatedBy(['AMSP', 'BMSP']) }), 'validators'],
  ];
  for (const [what, task, path] of tooLow) {
    it(`is no task with ${what}, though a contract took it`, () => {
      const found = refusal(task, { ...CHOICE, plain: true, he: true });
      expect(found).to.include('TERMS_BELOW_FLOOR').and.to.include(path);
    });
  }

  it('is no task whose whole budget comes to more than they spend', () => {
    expect(reasonToAbstain(taskOf('dp', 10), CHOICE)).to.equal(undefined);
    expect(refusal(taskOf('dp', 10.1), CHOICE)).to.match(/^EPSILON_TOO_LARGE .*ε = 10\.1/);
    expect(reasonToAbstain(taskOf('dp', 10.1), { ...CHOICE, maxEpsilon: 11 })).to.equal(undefined);
  });

  it('counts what the statistics that scale it were charged, to the promise and no further', () => {
    const within = (spentMicroRho: number): Task => {
      const differentialPrivacy = { epsilon: 8, deltaExponent: 5, spentMicroRho };
      return priceTask({ ...SIZE, privacy: 'dp', aggregators: AGGREGATORS, differentialPrivacy }).task;
    };
    const charged = { taskId: 'statistics-1', privacy: 'dp', chargedMicroRho: 400_000 } as const;
    const eight = { ...CHOICE, maxEpsilon: 8 };
    expect(reasonToAbstain(within(400_000), { ...eight, statistics: charged })).to.equal(undefined);
    expect(reasonToAbstain(within(399_990), eight)).to.equal(undefined);
    for (const taken of [0, 399_990]) {
      const found = refusal(within(taken), { ...eight, statistics: charged });
      expect(found).to.match(/^EPSILON_TOO_LARGE .*statistics-1/);
    }
  });

  it('is no task of mode dp that is scaled by statistics without noise; in other modes they do', () => {
    const statistics = { taskId: 'statistics-1', privacy: 'secure', chargedMicroRho: 0 } as const;
    expect(refusal(taskOf('dp'), { ...CHOICE, statistics })).to.match(/^STATISTICS_WITHOUT_NOISE /);
    expect(reasonToAbstain(taskOf('secure'), { ...CHOICE, statistics })).to.equal(undefined);
  });

  it('does not follow from a δ that would make any budget look small', () => {
    const task = taskOf('dp', 40);
    const dp = { ...task.secure!.dp!, deltaExponent: 1 };
    expect(refusal({ ...task, secure: { ...task.secure!, dp } }, { ...CHOICE, maxEpsilon: 39 })).to.include('40.0');
  });
});
