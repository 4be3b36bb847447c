// SPDX-License-Identifier: Apache-2.0
import type { JournalEntry, Page, PaidRoundRecord } from '../api';
import { keys } from './keys';
import type { LedgerState } from './state';

const KINDS: readonly JournalEntry['kind'][] = ['reward', 'compensation', 'forfeit'];

/** The journal of rewards, and which rounds are paid. */
export class RewardRepository {
  readonly #state: LedgerState;

  constructor(state: LedgerState) {
    this.#state = state;
  }

  findPaidRound(taskId: string, round: number): Promise<PaidRoundRecord | undefined> {
    return this.#state.get(keys.paidRound(taskId, round));
  }

  putPaidRound(record: PaidRoundRecord): Promise<void> {
    return this.#state.put(keys.paidRound(record.taskId, record.round), record);
  }

  paidRounds(taskId: string, pageSize: number, bookmark: string): Promise<Page<PaidRoundRecord>> {
    return this.#state.page(keys.paidRounds(taskId), pageSize, bookmark);
  }

  async putEntries(entries: readonly JournalEntry[]): Promise<void> {
    await Promise.all(
      entries.map((entry) => {
        const { taskId, round, vehicleId, kind } = entry;
        return this.#state.put(keys.journalEntry(taskId, round, vehicleId, kind), entry);
      }),
    );
  }

  journal(taskId: string, pageSize: number, bookmark: string): Promise<Page<JournalEntry>> {
    return this.#state.page(keys.journal(taskId), pageSize, bookmark);
  }

  /** A vehicle's movements of these rounds, in their order: point reads, so no index is kept for it. */
  async entriesOf(taskId: string, vehicleId: string, rounds: readonly number[]): Promise<JournalEntry[]> {
    const reads = rounds.flatMap((round) =>
      KINDS.map((kind) => this.#state.get(keys.journalEntry(taskId, round, vehicleId, kind))),
    );
    return (await Promise.all(reads)).filter((entry) => entry !== undefined);
  }
}
