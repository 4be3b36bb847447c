// SPDX-License-Identifier: Apache-2.0
import type { AttemptRef } from '../services/attempt.js';
import { pause } from '../services/wake-up.js';
import { updatesOf, type LearningContract } from '../services/rounds.js';

/** How long a look waits for others to share it. */
const GATHER_MS = 10;

/**
 * Which vehicles the ledger shows with an update in one attempt. Vehicles of a pool that ask at the same time share one
 * query, and a query that was under way when somebody asked is not taken for an answer: it may be too old.
 */
export class RecordedUpdates {
  readonly #learning: LearningContract;
  readonly #ref: AttemptRef;
  readonly #known = new Set<string>();
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(contract: LearningContract, ref: AttemptRef) {
    this.#learning = contract;
    this.#ref = ref;
  }

  /** Looks at the ledger unless the vehicle's update has been seen there before. @throws LedgerError */
  async has(vehicleId: string): Promise<boolean> {
    if (!this.#known.has(vehicleId)) {
      await this.#look();
    }
    return this.#known.has(vehicleId);
  }

  #look(): Promise<void> {
    this.#next ??= (this.#running ?? Promise.resolve())
      .catch(() => undefined)
      // The answers of one batch come within a moment of each other; nothing waits for this look.
      .then(() => pause(GATHER_MS))
      .then(() => {
        this.#running = this.#next;
        this.#next = undefined;
        return this.#query();
      });
    return this.#next;
  }

  async #query(): Promise<void> {
    for (const update of await updatesOf(this.#learning, this.#ref)) {
      this.#known.add(update.vehicleId);
    }
  }
}
