// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { TIME_MARGIN_MS, type RoundRecord } from '@sev/chaincode/api';
import { ASK_LATER_MS, nextAction, type RoundView } from '../coordinator/step.js';
import { Federation } from '../testing/federation.js';

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
    it(`tries again for the time of a round, then aborts with ${reason}, alone without a name`, () => {
      const stepFailed = reason;
      expect(actionOf({ stepFailed, nowMs: OVER })).to.deep.equal({ kind: 'commit-sums' });
      const abort = { kind: 'abort', reason };
      expect(actionOf({ stepFailed, nowMs: OVER + ASK_LATER_MS })).to.deep.equal({ ...abort, alone: false });
      expect(actionOf({ stepFailed, nowMs: OVER + TIME_MARGIN_MS })).to.deep.equal({
        ...{ kind: 'abort', reason: reason === 'SUM_INVALID' ? reason : 'NO_MAJORITY', alone: true },
      });
    });
  }

  it('waits as long as attesters said before it asks them again for a cohort, and asks nobody in the end', () => {
    const tooEarly = { action: 'fix-cohort', untilMs: NOW + 500 } as const;
    expect(actionOf({ tooEarly }, 'closed')).to.deep.equal({ kind: 'wait', untilMs: NOW + 500 });
    expect(actionOf({ tooEarly, nowMs: NOW + 500 }, 'closed')).to.deep.equal({ kind: 'fix-cohort', alone: false });
    const last = { tooEarly, stepFailed: 'NO_MAJORITY', nowMs: OVER + TIME_MARGIN_MS } as const;
    expect(actionOf(last, 'closed')).to.deep.equal({ kind: 'fix-cohort', alone: true });
  });

  it('waits out a cohort that cannot be mended', () => {
    const hopeless = 'COHORT_TOO_SMALL';
    expect(actionOf({ hopeless }, 'closed')).to.deep.equal({ kind: 'wait', untilMs: OVER + ASK_LATER_MS });
    expect(actionOf({ hopeless, nowMs: OVER + ASK_LATER_MS }, 'closed')).to.include({ kind: 'abort' });
  });
});
