// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { DEFAULT_RETRY_POLICY as policy, decide, type Outcome, type Progress, type Step } from './retry.js';

const fresh: Progress = { conflicts: 0, failures: 1, troubledMs: 0, sent: false };
const sent: Progress = { ...fresh, sent: true };
const late = { troubledMs: policy.reconnectMs };

const outcomes: Outcome[] = [
  'contract-error',
  'unavailable',
  'timeout',
  'refused',
  'failed',
  'conflict',
  'duplicate',
  'ordered',
  'invalid',
];
const steps: Step[] = ['evaluate', 'endorse', 'submit', 'status'];

describe('retry policy', () => {
  const table: [Step, Outcome, Partial<Progress>, string][] = [
    ['evaluate', 'contract-error', fresh, 'CONTRACT'],
    ['evaluate', 'unavailable', fresh, 'evaluate'],
    ['evaluate', 'unavailable', { ...fresh, ...late }, 'LEDGER_UNREACHABLE'],
    ['evaluate', 'timeout', fresh, 'evaluate'],
    ['evaluate', 'timeout', { ...fresh, ...late }, 'LEDGER_TIMEOUT'],
    ['evaluate', 'refused', fresh, 'LEDGER_REFUSED'],
    ['evaluate', 'failed', fresh, 'LEDGER_FAILED'],
    ['endorse', 'contract-error', fresh, 'CONTRACT'],
    ['endorse', 'unavailable', fresh, 'endorse'],
    ['endorse', 'unavailable', { ...fresh, ...late }, 'LEDGER_UNREACHABLE'],
    ['endorse', 'timeout', fresh, 'endorse'],
    ['endorse', 'refused', fresh, 'LEDGER_REFUSED'],
    ['endorse', 'failed', fresh, 'LEDGER_FAILED'],
    ['endorse', 'conflict', { ...fresh, conflicts: 1 }, 'endorse'],
    ['submit', 'refused', fresh, 'LEDGER_REFUSED'],
    ['submit', 'failed', fresh, 'LEDGER_FAILED'],
    ['submit', 'unavailable', sent, 'status'],
    ['submit', 'timeout', sent, 'status'],
    ['submit', 'failed', sent, 'status'],
    ['submit', 'ordered', sent, 'status'],
    ['submit', 'unavailable', { ...sent, ...late }, 'LEDGER_FATE_UNKNOWN'],
    ['status', 'unavailable', sent, 'status'],
    ['status', 'failed', sent, 'status'],
    ['status', 'timeout', sent, 'submit'],
    ['status', 'duplicate', sent, 'status'],
    ['status', 'unavailable', { ...sent, ...late }, 'LEDGER_FATE_UNKNOWN'],
    ['status', 'timeout', { ...sent, ...late }, 'LEDGER_FATE_UNKNOWN'],
    ['status', 'conflict', { ...sent, conflicts: 1 }, 'endorse'],
    ['status', 'conflict', { ...sent, conflicts: policy.maxAttempts - 1 }, 'endorse'],
    ['status', 'conflict', { ...sent, conflicts: policy.maxAttempts }, 'LEDGER_CONFLICT'],
    ['status', 'invalid', sent, 'LEDGER_COMMIT_FAILED'],
  ];
  for (const [step, outcome, progress, expected] of table) {
    const when = [
      progress.sent === true ? 'sent' : 'not sent',
      ...(progress.troubledMs === policy.reconnectMs ? ['too late'] : []),
      ...(progress.conflicts === 0 ? [] : [`conflict ${progress.conflicts ?? 0}`]),
    ].join(', ');
    it(`${step}: ${outcome} (${when}) -> ${expected}`, () => {
      const decision = decide(step, outcome, { ...fresh, ...progress }, policy);
      expect(decision.then === 'fail' ? decision.code : decision.then).to.equal(expected);
    });
  }

  const anyProgress = fc.record({
    conflicts: fc.integer({ min: 1, max: 20 }),
    failures: fc.integer({ min: 1, max: 50 }),
    troubledMs: fc.integer({ min: 0, max: 120_000 }),
    sent: fc.boolean(),
  });

  it('never makes a new transaction of one that was sent, unless the ledger has invalidated it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...steps), fc.constantFrom(...outcomes), anyProgress, (step, outcome, progress) => {
        const decision = decide(step, outcome, { ...progress, sent: true }, policy);
        if (step === 'submit' || step === 'status') {
          expect(decision.then === 'endorse').to.equal(
            outcome === 'conflict' && progress.conflicts < policy.maxAttempts,
          );
        }
      }),
    );
  });

  it('never asks a contract twice', () => {
    fc.assert(
      fc.property(fc.constantFrom(...steps), anyProgress, (step, progress) => {
        expect(decide(step, 'contract-error', progress, policy)).to.deep.equal({ then: 'fail', code: 'CONTRACT' });
      }),
    );
  });

  it('pauses longer each time, at random, within its bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (n, r) => {
        const decision = decide('endorse', 'unavailable', { ...fresh, failures: n }, policy, () => r);
        const full = Math.min(policy.backoffMs * 2 ** (n - 1), policy.maxBackoffMs);
        expect(decision)
          .to.have.property('delayMs')
          .within(Math.floor(full / 2), full);
      }),
    );
  });
});
