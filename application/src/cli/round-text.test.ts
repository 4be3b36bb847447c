// SPDX-License-Identifier: Apache-2.0
import type { HeRound, RoundRecord, RoundState } from '@sev/chaincode/api';
import { expect } from 'chai';
import { Federation } from '../testing/federation.js';
import { roundText } from './round-text.js';

const { task } = new Federation({ he: {} });
const SHOWN = [{ round: 1, attempt: 1 }];

function textOf(state: RoundState, shownAttempts: HeRound['shownAttempts'] = []): string {
  const opening = { publicKeyHash: 'a'.repeat(64), sealingKey: '' };
  const record: RoundRecord = {
    ...{ docType: 'round', schemaVersion: 2, taskId: task.taskId, round: 1, attempt: 1, state, privacy: 'he' },
    ...{ baseModelHash: task.model.initialModelHash, openedBy: 'GridMSP', openedAtMs: 0, deadlineMs: 1 },
    he: { opening, openingHash: 'b'.repeat(64), shownAttempts },
  };
  return roundText(task, record, []);
}

/** What a row says of who could see what. */
function rowOf(text: string, who: string): string | undefined {
  return text
    .split('\n')
    .find((line) => line.startsWith(`  ${who} `))
    ?.slice(who.length + 2)
    .trim();
}

describe('sev round show of a round in mode he', () => {
  it('tells of a sum only as far as the round has come to one', () => {
    const organisations = (...of: Parameters<typeof textOf>) => rowOf(textOf(...of), 'organisations');
    expect(organisations('open')).to.equal('in the end one sum over the cohort');
    expect(organisations('cohort', SHOWN)).to.equal('in the end one sum over the cohort');
    expect(organisations('finalised', SHOWN)).to.equal('one sum over the cohort');
    expect(organisations('aborted')).to.equal('no sum');
    expect(organisations('aborted', SHOWN)).to.equal('perhaps one sum over the cohort');
  });

  it('tells what the store holds, and who could read updates together', () => {
    const text = textOf('finalised', SHOWN);
    expect(rowOf(text, 'store')).to.contain('ciphertexts of the sum');
    expect(rowOf(text, 'in league')).to.contain('GridMSP that lied and MakerMSP together');
  });
});

describe('sev round show of a round in a secure mode', () => {
  it('names the arbiter whose verdict the round was given up waiting for', () => {
    const { task: secureTask } = new Federation({ secure: {} });
    const arbiter = { mspId: 'RegulatorMSP', sealingKey: '' };
    const record: RoundRecord = {
      ...{ docType: 'round', schemaVersion: 2, taskId: task.taskId, round: 1, attempt: 1, state: 'aborted' },
      ...{ privacy: 'secure', abortReason: 'DISPUTE_UNSETTLED' },
      ...{ baseModelHash: task.model.initialModelHash, openedBy: 'GridMSP', openedAtMs: 0, deadlineMs: 1 },
      secure: {
        ...{ opening: { aggregators: [], arbiter }, openingHash: 'b'.repeat(64), openedProjections: 4 },
        ...{ chargedMicroRho: 0, shownAttempts: [], disputes: [], faulty: [], accused: [], silent: ['RegulatorMSP'] },
      },
    };
    expect(roundText(secureTask, record, [])).to.contain('given up waiting for the verdict of RegulatorMSP\n');
  });

  it('says what the reasons mean that vehicles count less for, each once', () => {
    const { task: secureTask } = new Federation({ secure: {} });
    const record: RoundRecord = {
      ...{ docType: 'round', schemaVersion: 2, taskId: task.taskId, round: 1, attempt: 1, state: 'finalised' },
      ...{ privacy: 'secure', baseModelHash: task.model.initialModelHash, openedBy: 'GridMSP', openedAtMs: 0 },
      deadlineMs: 1,
    };
    const reasons = ['NORM_SCALED', undefined, 'EVENED', 'NORM_SCALED'] as const;
    const vehicles = reasons.map((reason, i) => ({
      vehicleId: `v-${String(i)}`,
      weight: 0,
      ...(reason && { reason }),
    }));
    const lines = roundText(secureTask, record, [], { vehicles }).split('\n').slice(-2);
    expect(lines[0]).to.match(/^EVENED: Too few have its weight/);
    expect(lines[1]).to.match(/^NORM_SCALED: Its norm is estimated above/);
  });
});
