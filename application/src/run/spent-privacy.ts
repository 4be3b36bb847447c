// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { epsilonOf } from '@sev/fl';
import { learning, type LedgerSession } from '../ledger/index.js';
import type { Report } from '../report/report.js';

const MILLION = 1_000_000;

/** ε at the task's δ for a ρ in millionths, as the ledger charges it. */
export function epsilonOfTask({ secure }: Task, microRho: number): number | undefined {
  return secure?.dp === undefined ? undefined : epsilonOf(microRho / MILLION, 10 ** -secure.dp.deltaExponent);
}

/** What a task in mode dp has spent up to a round, by the ledger's account; nothing in other modes. */
export async function spentPrivacy(
  session: LedgerSession,
  task: Task,
  round: number,
): Promise<Pick<Report, 'privacy'>> {
  const { dp } = task.secure ?? {};
  if (dp === undefined) {
    return {};
  }
  const record = await learning(session).round({ taskId: task.taskId, round });
  const chargedMicroRho = record.secure?.chargedMicroRho ?? 0;
  const { budgetMicroRho, deltaExponent } = dp;
  return {
    privacy: {
      epsilon: epsilonOfTask(task, chargedMicroRho) ?? 0,
      delta: 10 ** -deltaExponent,
      chargedMicroRho,
      budgetMicroRho,
    },
  };
}
