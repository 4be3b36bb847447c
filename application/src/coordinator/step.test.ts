// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { ledgerPatienceMs, TIME_MARGIN_MS, type Dispute, type RoundRecord, type SecureRound } from '@sev/chaincode/api';
import { Federation } from '../testing/federation.js';
import { ASK_LATER_MS, nextAction, type RoundView } from './step.js';

const { task } = new Federation({ vehicles: 4, minimum: 2, target: 4, graceMs: 1_000 });
const NOW = 1_000_000;
const MODEL = 'a'.repeat(64);

const open: RoundRecord = {
  docType: 'round',
  schemaVersion: 2,
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

  it('opens the next attempt from the model that a correction kept', () => {
    const correction = { modelHash: 'c'.repeat(64) };
    const proposal = { modelHash: 'b'.repeat(64) } as RoundRecord['proposal'];
    const finalised: RoundRecord = { ...open, state: 'finalised', ...(proposal === undefined ? {} : { proposal }) };
    const aborted: RoundRecord = { ...open, state: 'aborted', abortReason: 'OPERATOR' };
    for (const round of [finalised, aborted]) {
      const before = round === finalised ? 'b'.repeat(64) : MODEL;
      expect(nextAction(view({ round }))).to.include({ kind: 'open', baseModelHash: before });
      expect(nextAction(view({ round, correction }))).to.include({ kind: 'open', baseModelHash: correction.modelHash });
    }
  });

  it('does not wait for vehicles that the ledger refuses, but never closes below the minimum at once', () => {
    expect(nextAction(view({ recorded: 3, barred: 1 }))).to.deep.equal({ kind: 'close', alone: false });
    expect(nextAction(view({ recorded: 1, barred: 3 })).kind).to.equal('wait');
  });

  it('waits for updates until the grace time is over', () => {
    expect(nextAction(view({ recorded: 3 }))).to.deep.equal({ kind: 'wait', untilMs: NOW + 1_000 });
  });

  it('closes at once with the target cohort', () => {
    expect(nextAction(view({ recorded: 4 }))).to.deep.equal({ kind: 'close', alone: false });
  });

  it('closes with the minimum cohort once the grace time is over', () => {
    const nowMs = NOW + 1_000;
    expect(nextAction(view({ recorded: 2, nowMs }))).to.deep.equal({ kind: 'close', alone: false });
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
    expect(nextAction(view({ recorded: 2, nowMs: AFTER_DEADLINE }))).to.include({
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

describe('nextAction in a secure mode', () => {
  const secureTask = new Federation({ vehicles: 4, minimum: 2, target: 4, secure: {} }).task;
  const sealingKey = 'arbiter';
  const secure: SecureRound = {
    opening: { aggregators: [], arbiter: { mspId: 'RegulatorMSP', sealingKey } },
    openingHash: MODEL,
    openedProjections: 0,
    chargedMicroRho: 0,
    shownAttempts: [],
    disputes: [],
    faulty: [],
    accused: [],
  };
  const sinceMs = open.deadlineMs;
  const ALONE = sinceMs + secureTask.deadlines.roundMs + TIME_MARGIN_MS;
  const actionIn = (
    state: RoundRecord['state'],
    change: Partial<SecureRound> = {},
    changes: Partial<RoundView> = {},
  ) => {
    const closed = { closedAtMs: sinceMs, ...(state === 'closed' ? {} : { stateSinceMs: sinceMs }) };
    const round: RoundRecord = { ...open, privacy: 'secure', state, ...closed, secure: { ...secure, ...change } };
    return nextAction(view({ task: secureTask, round, nowMs: sinceMs, ...changes }));
  };
  const dispute: Dispute = { component: 1, phase: 'sums', openedAtMs: sinceMs, said: [] };

  it('takes one step after the other', () => {
    expect(actionIn('closed')).to.deep.equal({ kind: 'fix-cohort', alone: false });
    expect(actionIn('cohort')).to.deep.equal({ kind: 'score' });
    expect(actionIn('scored')).to.deep.equal({ kind: 'commit-sums' });
    expect(actionIn('aggregated')).to.deep.equal({ kind: 'finalise' });
  });

  it('settles a dispute first, whoever opened it', () => {
    for (const state of ['cohort', 'scored', 'aggregated'] as const) {
      expect(actionIn(state, { disputes: [dispute] })).to.deep.equal({ kind: 'settle' });
      expect(actionIn(state, { disputes: [{ ...dispute, faulty: ['GridMSP'] }] }).kind).not.to.equal('settle');
    }
  });

  it('has audited what rests on one aggregator before it proposes a model, and aborts where that cannot be', () => {
    const unverified = [1, 2];
    expect(actionIn('aggregated', { unverified })).to.deep.equal({ kind: 'audit', component: 1 });
    expect(actionIn('scored', { unverified })).to.deep.equal({ kind: 'commit-sums' });
    const notAudited = new Set(unverified);
    const abort = { kind: 'abort', reason: 'AGGREGATORS_MISSING', alone: false };
    expect(actionIn('aggregated', { unverified }, { notAudited })).to.deep.equal(abort);
    expect(actionIn('aggregated', { unverified, opening: { aggregators: [] } })).to.deep.equal(abort);
  });

  it('aborts at once where a verdict took the word of the only one that answered', () => {
    const answeredBy = [['GridMSP'], ['CityMSP', 'GridMSP']];
    const abort = { kind: 'abort', reason: 'AGGREGATORS_MISSING', alone: false };
    expect(actionIn('aggregated', { answeredBy, faulty: ['GridMSP'] })).to.deep.equal(abort);
  });

  it('asks for the abort of what is refused for good, when attesters agree or nobody is needed', () => {
    const hopeless = 'COHORT_TOO_CLOSE';
    const abort = { kind: 'abort', reason: hopeless, alone: false };
    expect(actionIn('closed', {}, { hopeless })).to.deep.equal(abort);
    const tooEarly = { action: 'abort', untilMs: sinceMs + 40 } as const;
    expect(actionIn('closed', {}, { hopeless, tooEarly })).to.deep.equal({ kind: 'wait', untilMs: sinceMs + 40 });
    expect(actionIn('closed', {}, { hopeless, tooEarly, nowMs: ALONE })).to.deep.equal({ ...abort, alone: true });
  });

  it('calls a dispute unsettled only where the ledger shows one', () => {
    const hopeless = 'DISPUTE_UNSETTLED';
    expect(actionIn('cohort', {}, { hopeless })).to.include({ kind: 'abort', reason: 'AGGREGATORS_MISSING' });
    expect(actionIn('cohort', { disputes: [dispute] }, { hopeless })).to.include({ kind: 'abort', reason: hopeless });
  });

  it('ends without an accusation where no majority has come to it in all the time', () => {
    const found = { hopeless: 'NOISE_FALSE', nowMs: ALONE } as const;
    expect(actionIn('cohort', {}, found)).to.include({ reason: 'NOISE_FALSE' });
    const refused = { ...found, stepFailed: 'NO_MAJORITY' } as const;
    expect(actionIn('cohort', {}, refused)).to.deep.equal({ kind: 'abort', reason: 'NO_MAJORITY', alone: true });
    expect(actionIn('cohort', {}, { ...refused, nowMs: sinceMs })).to.include({ reason: 'NOISE_FALSE' });
  });

  it('aborts a step that fails when the time for it has passed, for the reason that it failed for', () => {
    const stepFailed = 'AGGREGATORS_MISSING';
    expect(actionIn('scored', {}, { stepFailed })).to.deep.equal({ kind: 'commit-sums' });
    const abort = { kind: 'abort', reason: stepFailed, alone: true };
    expect(actionIn('scored', {}, { stepFailed, nowMs: ALONE })).to.deep.equal(abort);
    const unsettled = { stepFailed: 'DISPUTE_UNSETTLED', nowMs: ALONE } as const;
    expect(actionIn('scored', { disputes: [dispute] }, unsettled)).to.include({ reason: 'DISPUTE_UNSETTLED' });
  });

  it('has an open dispute settled before it gives up for what failed earlier, alone or not', () => {
    const stepFailed = 'AGGREGATORS_MISSING';
    const settle = { kind: 'settle' };
    expect(actionIn('scored', { disputes: [dispute] }, { stepFailed, stepFailures: 9 })).to.deep.equal(settle);
    const late = { ...dispute, openedAtMs: ALONE - 1 };
    for (const failed of [stepFailed, 'DISPUTE_UNSETTLED'] as const) {
      const view = { stepFailed: failed, stepFailures: 9, nowMs: ALONE };
      expect(actionIn('scored', { disputes: [late] }, view), failed).to.deep.equal(settle);
      const over = { ...view, nowMs: late.openedAtMs + ledgerPatienceMs(secureTask) };
      expect(actionIn('scored', { disputes: [late] }, over), failed).to.include({ kind: 'abort', alone: true });
    }
    const unsettled = { stepFailed: 'DISPUTE_UNSETTLED', stepFailures: 3 } as const;
    expect(actionIn('scored', { disputes: [dispute] }, unsettled)).to.include({ kind: 'abort', alone: false });
  });

  it('asks for the abort of a step that failed often as soon as attesters agree, and tries it on until then', () => {
    const stepFailed = 'AGGREGATORS_MISSING';
    const failed = { stepFailed, stepFailures: 3 } as const;
    const abort = { kind: 'abort', reason: stepFailed, alone: false };
    expect(actionIn('scored', {}, { stepFailed, stepFailures: 2 })).to.deep.equal({ kind: 'commit-sums' });
    expect(actionIn('scored', {}, failed)).to.deep.equal(abort);
    const tooEarly = { action: 'abort', untilMs: sinceMs + 40 } as const;
    expect(actionIn('scored', {}, { ...failed, tooEarly })).to.deep.equal({ kind: 'commit-sums' });
    expect(actionIn('scored', {}, { ...failed, tooEarly, nowMs: sinceMs + 40 })).to.deep.equal(abort);
    expect(actionIn('scored', {}, { ...failed, stepFailed: 'NO_MAJORITY' })).to.deep.equal({ kind: 'commit-sums' });
  });

  it('asks for weights again once attesters waited for who is missing; a verdict comes first', () => {
    const tooEarly = { action: 'score', untilMs: sinceMs + 40 } as const;
    expect(actionIn('cohort', {}, { tooEarly })).to.deep.equal({ kind: 'wait', untilMs: sinceMs + 40 });
    expect(actionIn('cohort', {}, { tooEarly, nowMs: sinceMs + 40 })).to.deep.equal({ kind: 'score' });
    expect(actionIn('cohort', { disputes: [dispute] }, { tooEarly })).to.deep.equal({ kind: 'settle' });
  });

  it('gives a scored round up at once whose projections nobody may audit', () => {
    const alone = { projections: ['a'.repeat(64)], projectedBy: [['CityMSP']] };
    const abort = { kind: 'abort', reason: 'AGGREGATORS_MISSING', alone: false };
    const { arbiter: _arbiter, ...opening } = secure.opening;
    expect(actionIn('scored', { ...alone, opening })).to.deep.equal(abort);
    const arbiter = { mspId: 'RegulatorMSP', sealingKey: '' };
    expect(actionIn('scored', { ...alone, opening: { ...opening, arbiter } })).to.deep.equal({ kind: 'commit-sums' });
  });

  it('asks for the cohort when attesters agree, and gives up without a majority for it', () => {
    const tooEarly = { action: 'fix-cohort', untilMs: sinceMs + 40 } as const;
    expect(actionIn('closed', {}, { tooEarly })).to.deep.equal({ kind: 'wait', untilMs: sinceMs + 40 });
    expect(actionIn('closed', {}, { nowMs: ALONE })).to.deep.equal({ kind: 'fix-cohort', alone: false });
    const abort = { kind: 'abort', reason: 'NO_MAJORITY', alone: true };
    expect(actionIn('closed', {}, { nowMs: ALONE, stepFailed: 'NO_MAJORITY' })).to.deep.equal(abort);
  });
});
