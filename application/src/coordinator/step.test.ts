// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { TIME_MARGIN_MS, type RoundRecord } from '@sev/chaincode/api';
import { Federation } from '../testing/federation.js';
import { ASK_LATER_MS, nextAction, type RoundView } from './step.js';

const { task } = new Federation({ vehicles: 4, minimum: 2, target: 4, graceMs: 1_000 });
const NOW = 1_000_000;
const MODEL = 'a'.repeat(64);

const open: RoundRecord = {
  docType: 'round',
  schemaVersion: 1,
  taskId: task.taskId,
  round: 2,
  attempt: 1,
  state: 'open',
  privacy: 'plain',
  baseModelHash: MODEL,
  openedBy: 'GridMSP',
  openedAtMs: NOW,
  deadlineMs: NOW + task.deadlines.roundMs,
};

function view(changes: Partial<RoundView>): RoundView {
  return {
    task,
    lastRound: 3,
    maxAttempts: 2,
    round: open,
    recorded: 0,
    waiting: 0,
    openSeenAtMs: NOW,
    nowMs: NOW,
    ...changes,
  };
}

const AFTER_DEADLINE = open.deadlineMs + TIME_MARGIN_MS;

describe('nextAction', () => {
  it('opens the first round from the initial model', () => {
    const baseModelHash = task.model.initialModelHash;
    expect(nextAction(view({ round: undefined }))).to.deep.equal({ kind: 'open', round: 1, attempt: 1, baseModelHash });
  });

  it('waits for updates until the grace time is over', () => {
    expect(nextAction(view({ recorded: 3 }))).to.deep.equal({ kind: 'wait', untilMs: NOW + 1_000 });
  });

  it('closes at once with the target cohort, also while further envelopes wait', () => {
    expect(nextAction(view({ recorded: 4, waiting: 1 }))).to.deep.equal({ kind: 'close', alone: false });
  });

  it('closes with the minimum cohort once the grace time is over and nothing waits', () => {
    const nowMs = NOW + 1_000;
    expect(nextAction(view({ recorded: 2, nowMs }))).to.deep.equal({ kind: 'close', alone: false });
    expect(nextAction(view({ recorded: 2, waiting: 1, nowMs })).kind).to.equal('wait');
  });

  it('waits below the minimum cohort until a little after the deadline, then asks for the abort', () => {
    const untilMs = open.deadlineMs + ASK_LATER_MS;
    const wait = { kind: 'wait', untilMs, belowMinimum: true };
    expect(nextAction(view({ recorded: 1, nowMs: NOW + 1_000 }))).to.deep.equal(wait);
    expect(nextAction(view({ recorded: 1, nowMs: untilMs - 1 }))).to.deep.equal(wait);
    expect(nextAction(view({ recorded: 1, nowMs: untilMs }))).to.include({ kind: 'abort', alone: false });
  });

  it('asks for what was too early again after the time left, at the latest when it needs nobody', () => {
    const nowMs = open.deadlineMs + ASK_LATER_MS;
    const tooEarly = { action: 'abort', untilMs: nowMs + 40 } as const;
    expect(nextAction(view({ recorded: 1, nowMs, tooEarly }))).to.include({ kind: 'wait', untilMs: nowMs + 40 });
    expect(nextAction(view({ recorded: 1, nowMs: nowMs + 40, tooEarly })).kind).to.equal('abort');
    expect(nextAction(view({ recorded: 2, nowMs, tooEarly })).kind).to.equal('close');
    const never = { action: 'abort', untilMs: Infinity } as const;
    expect(nextAction(view({ recorded: 1, nowMs, tooEarly: never }))).to.include({ untilMs: AFTER_DEADLINE });
  });

  it('needs nobody else after the deadline', () => {
    expect(nextAction(view({ recorded: 2, waiting: 1, nowMs: AFTER_DEADLINE }))).to.include({
      kind: 'close',
      alone: true,
    });
    expect(nextAction(view({ recorded: 1, nowMs: AFTER_DEADLINE }))).to.include({ kind: 'abort', alone: true });
  });

  it('finalises a closed round, again after a refusal, and aborts it when attesters had their time', () => {
    const round: RoundRecord = { ...open, state: 'closed', closedAtMs: open.deadlineMs };
    const nowMs = open.deadlineMs + task.deadlines.roundMs + TIME_MARGIN_MS;
    expect(nextAction(view({ round })).kind).to.equal('finalise');
    expect(nextAction(view({ round, stepFailed: 'NO_MAJORITY' })).kind).to.equal('finalise');
    expect(nextAction(view({ round, stepFailed: 'NO_MAJORITY', nowMs: AFTER_DEADLINE })).kind).to.equal('finalise');
    expect(nextAction(view({ round, nowMs })).kind).to.equal('finalise');
    const abort = { kind: 'abort', reason: 'NO_MAJORITY', alone: true };
    expect(nextAction(view({ round, stepFailed: 'NO_MAJORITY', nowMs }))).to.deep.equal(abort);
  });

  it('aborts a closed round with too few usable updates', () => {
    const round: RoundRecord = { ...open, state: 'closed', closedAtMs: AFTER_DEADLINE };
    const abort = { kind: 'abort', reason: 'COHORT_TOO_SMALL', alone: false };
    expect(nextAction(view({ round, usable: 1, nowMs: AFTER_DEADLINE }))).to.deep.equal(abort);
  });

  it('leaves rounds after its last one to others', () => {
    expect(nextAction(view({ lastRound: 1 })).kind).to.equal('done');
  });

  it('opens the next round from the finalised model, and is done after the last', () => {
    const proposal = {
      taskId: task.taskId,
      round: 2,
      attempt: 1,
      baseModelHash: MODEL,
      modelHash: 'b'.repeat(64),
      cohortHash: 'c'.repeat(64),
      cohortSize: 4,
      excluded: [],
    };
    const round: RoundRecord = { ...open, state: 'finalised', proposal };
    const baseModelHash = proposal.modelHash;
    expect(nextAction(view({ round }))).to.deep.equal({ kind: 'open', round: 3, attempt: 1, baseModelHash });
    expect(nextAction(view({ round, lastRound: 2 }))).to.deep.equal({ kind: 'done' });
  });

  it('tries an aborted round again from the same base, and gives up after the attempts allowed', () => {
    const round: RoundRecord = { ...open, state: 'aborted', abortReason: 'COHORT_TOO_SMALL' };
    expect(nextAction(view({ round }))).to.deep.equal({ kind: 'open', round: 2, attempt: 2, baseModelHash: MODEL });
    expect(nextAction(view({ round: { ...round, attempt: 2 } }))).to.have.property('kind', 'give-up');
  });
});
