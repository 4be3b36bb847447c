// SPDX-License-Identifier: Apache-2.0
import type { StandingRecord } from '../api';
import { keys } from './keys';
import type { LedgerState } from './state';

/** What finalised rounds have made of the vehicles of a task. */
export class StandingRepository {
  readonly #state: LedgerState;

  constructor(state: LedgerState) {
    this.#state = state;
  }

  find(taskId: string, vehicleId: string): Promise<StandingRecord | undefined> {
    return this.#state.get(keys.standing(taskId, vehicleId));
  }

  put(record: StandingRecord): Promise<void> {
    return this.#state.put(keys.standing(record.taskId, record.vehicleId), record);
  }
}
