// SPDX-License-Identifier: Apache-2.0
import type { AuditResult } from '../auditor/index.js';
import type { RoundReport } from '../report/report.js';

/**
 * Puts the audit's word beside that of the programs: transactions and commits are those that it counted in the blocks,
 * and a model that the report names must be the one that the audit found to be final.
 *
 * @returns the rounds, and the audit, failed where a reported round is not what the blocks say.
 */
export function reconcile(
  taskId: string,
  rounds: readonly RoundReport[],
  audit: AuditResult,
): { rounds: RoundReport[]; audit: AuditResult } {
  let checked = audit;
  const reconciled = rounds.map((reported) => {
    const where = `${taskId}/${String(reported.round)}`;
    const audited = audit.rounds.get(where);
    if (audited?.modelHash !== reported.modelHash || audited.attempt !== reported.attempt) {
      const found = audited === undefined ? 'no final model' : `model ${audited.modelHash}`;
      const detail = `the report names model ${reported.modelHash}, the blocks hold ${found}`;
      const failure = { kind: 'record', where: `round ${where}`, code: 'REPORT_MISMATCH', detail } as const;
      // What the audit itself found comes first; it may be why the round is missing.
      checked = checked.ok ? { ...checked, ok: false, firstFailure: failure } : checked;
      return reported;
    }
    return { ...reported, transactions: audited.transactions, commits: audited.commits };
  });
  return { rounds: reconciled, audit: checked };
}
