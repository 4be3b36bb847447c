// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newAuditCounts, type AuditResult } from '../auditor/index.js';
import { exampleReport } from '../testing/report.js';
import { reconcile } from './audited-rounds.js';

describe('reconcile', () => {
  const { taskId, rounds } = exampleReport();
  const audited = rounds.map(({ round, attempt, modelHash }) => {
    return [`${taskId}/${String(round)}`, { attempt, modelHash, transactions: 7, commits: 5 }] as const;
  });
  const audit = (entries: typeof audited, ok = true): AuditResult => ({
    ok,
    checked: newAuditCounts(),
    lastBlockHash: '',
    height: 9,
    skipped: [],
    rounds: new Map(entries),
  });

  it('reports the transactions and blocks that the audit counted', () => {
    const result = reconcile(taskId, rounds, audit(audited));
    expect(result.audit.ok).to.equal(true);
    expect(
      new Set(result.rounds.map((round) => `${String(round.transactions)} ${String(round.commits)}`)),
    ).to.have.keys('7 5');
  });

  it('fails the audit where the report names another model than the blocks hold', () => {
    const [first, ...others] = rounds;
    const forged = [{ ...first!, modelHash: 'f'.repeat(64) }, ...others];
    const { audit: failed } = reconcile(taskId, forged, audit(audited));
    expect(failed.ok).to.equal(false);
    expect(failed.firstFailure).to.include({
      code: 'REPORT_MISMATCH',
      where: `round ${taskId}/${String(first!.round)}`,
    });
  });

  it('fails the audit where a reported round is not on the ledger, and keeps an earlier finding', () => {
    expect(reconcile(taskId, rounds, audit([])).audit.firstFailure?.code).to.equal('REPORT_MISMATCH');
    expect(reconcile(taskId, rounds, audit([], false)).audit.firstFailure).to.equal(undefined);
  });
});
