// SPDX-License-Identifier: Apache-2.0
import type { JournalEntry, Page, PaidRoundRecord, PayRound, RewardStatement } from '@sev/chaincode/api';
import { bind, PAGE_SIZE, pages, type ContractSession } from './contracts.js';

/** The rewards contract: what contributions were paid. */
export function rewards(session: ContractSession) {
  const { evaluate, submit } = bind(session, 'rewards');
  return {
    payRound: (argument: PayRound) => submit<PaidRoundRecord>('PayRound', argument),
    /** All movements of one vehicle in a task. */
    statement: (taskId: string, vehicleId: string) => evaluate<RewardStatement>('Statement', { taskId, vehicleId }),
    journal: (taskId: string) =>
      pages((bookmark) => evaluate<Page<JournalEntry>>('Journal', { taskId, pageSize: PAGE_SIZE, bookmark })),
    paidRounds: (taskId: string) =>
      pages((bookmark) => evaluate<Page<PaidRoundRecord>>('ListPaidRounds', { taskId, pageSize: PAGE_SIZE, bookmark })),
  };
}

export type RewardsContract = ReturnType<typeof rewards>;
