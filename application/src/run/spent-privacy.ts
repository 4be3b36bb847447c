// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { epsilonOf } from '@sev/fl';
import { learning, type LedgerSession } from '../ledger/index.js';
import type { Report } from '../report/report.js';
import { latestRound } from '../services/rounds.js';

const MILLION = 1_000_000;

/** What a task in mode dp has spent by the ledger's account, aborted rounds too; undefined in other modes. */
export async function spentOnLedger(session: LedgerSession, task: Task): Promise<Report['privacy']> {
  const { dp } = task.secure ?? {};
  if (dp === undefined) {
    return undefined;
  }
  const chargedMicroRho = (await latestRound(learning(session), task.taskId))?.secure?.chargedMicroRho ?? 0;
  const { budgetMicroRho, deltaExponent } = dp;
  const delta = 10 ** -deltaExponent;
  return {
    epsilon: epsilonOf(chargedMicroRho / MILLION, delta),
    delta,
    chargedMicroRho,
    budgetMicroRho,
  };
}
