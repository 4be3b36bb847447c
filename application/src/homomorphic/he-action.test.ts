// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { TIME_MARGIN_MS, type RoundRecord } from '@sev/chaincode/api';
import { ASK_LATER_MS, nextAction, type RoundView } from '../coordinator/step.js';
import { SevError } from '../errors.js';
import { silentLog } from '../services/log.js';
import { Federation } from '../testing/federation.js';
import { codeOf } from '../testing/temporary.js';
import { learning } from '../ledger/contracts.js';
import { HeSteps } from './he-steps.js';
import type { HePartyClient } from './party-client.js';

const NOW = 1_000_000;
const federation = new Federation({ he: {}, vehicles: 4, minimum: 2 });
const { task } = federation;
const OVER = NOW + task.deadlines.roundMs;

const round: RoundRecord = {
  docType: 'round',
  schemaVersion: 2,
  taskId: task.taskId,
  round: 1,
  attempt: 1,
  state: 'cohort',
  privacy: 'he',
  baseModelHash: task.model.initialModelHash,
  openedBy: 'GridMSP',
  openedAtMs: NOW,
  deadlineMs: NOW,
  closedAtMs: NOW,
  stateSinceMs: NOW,
};

function actionOf(change: Partial<RoundView>, state: RoundRecord['state'] = 'cohort') {
  const view = { task, lastRound: 3, maxAttempts: 2, recorded: 4, waiting: 0, openSeenAtMs: NOW, nowMs: NOW };
  return nextAction({ ...view, round: { ...round, state }, ...change });
}

describe('A coordinator of a round in mode he', () => {
  it('takes the steps in their order, without scores', () => {
    const kinds = (['closed', 'cohort', 'aggregated'] as const).map((state) => actionOf({}, state).kind);
    expect(kinds).to.deep.equal(['fix-cohort', 'commit-sums', 'finalise']);
  });

  for (const reason of ['KEY_HOLDER_LOST', 'SUMMER_LOST', 'MASK_HOLDER_LOST', 'SUM_INVALID'] as const) {
    it(`tries again for the time of a round, then aborts with ${reason}`, () => {
      const stepFailed = reason;
      expect(actionOf({ stepFailed, nowMs: OVER })).to.deep.equal({ kind: 'commit-sums' });
      const abort = { kind: 'abort', reason };
      expect(actionOf({ stepFailed, nowMs: OVER + ASK_LATER_MS })).to.deep.equal({ ...abort, alone: false });
      expect(actionOf({ stepFailed, nowMs: OVER + TIME_MARGIN_MS })).to.deep.equal({ ...abort, alone: true });
    });
  }

  it('waits out a cohort that cannot be mended', () => {
    const hopeless = 'COHORT_TOO_SMALL';
    expect(actionOf({ hopeless }, 'closed')).to.deep.equal({ kind: 'wait', untilMs: OVER + ASK_LATER_MS });
    expect(actionOf({ hopeless, nowMs: OVER + ASK_LATER_MS }, 'closed')).to.include({ kind: 'abort' });
  });
});

describe('The steps of mode he name who does not give its part', () => {
  const answering = (mspId: string, failing?: string): HePartyClient => {
    const answer = <T>(value: T) =>
      failing === undefined ? Promise.resolve(value) : Promise.reject(new SevError(failing, 'as the test wants it'));
    const hash = 'a'.repeat(64);
    return {
      mspId,
      prepare: () => answer({}),
      accept: () => answer({ mspId, signature: '' }),
      holdings: () => answer({ mspId, held: '', signature: '' }),
      sum: () => answer({ sumHash: hash, signature: '' }),
      masks: () => answer({ masksHash: hash, signature: '' }),
      decrypt: () => answer({ maskedHash: hash, signature: '' }),
      publish: () => answer({ hash }),
    };
  };
  const { keyHolder, summer, maskHolder } = task.he!;
  const sums = (failing: Readonly<Record<string, string>>, mspIds = [keyHolder, summer, maskHolder]) => {
    const parties = mspIds.map((mspId) => answering(mspId, failing[mspId]));
    const steps = new HeSteps({ learning: learning(federation.ledger.session(summer)), parties, log: silentLog });
    return steps.sums({ task, round, gatherer: undefined as never });
  };

  it('the key holder, the summer and the mask holder', async () => {
    expect(await codeOf(sums({ [keyHolder]: 'SERVICE_UNREACHABLE' }))).to.equal('KEY_HOLDER_LOST');
    expect(await codeOf(sums({ [summer]: 'SHARE_LOST' }))).to.equal('SUMMER_LOST');
    expect(await codeOf(sums({ [maskHolder]: 'SERVICE_TIMEOUT' }))).to.equal('MASK_HOLDER_LOST');
    expect(await codeOf(sums({}, [summer, maskHolder]))).to.equal('KEY_HOLDER_LOST');
  });

  it('but not one whose gateway only lags, and a sum that does not decrypt is told apart', async () => {
    expect(await codeOf(sums({ [keyHolder]: 'ROUND_STATE' }))).to.equal('AGGREGATOR_BEHIND');
    expect(await codeOf(sums({ [keyHolder]: 'NOISE_EXHAUSTED' }))).to.equal('NOISE_EXHAUSTED');
    expect(await sums({})).to.include({ round: 1, attempt: 1 });
  });
});
