// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { barredFrom, type LearningContract } from '../services/rounds.js';
import type { Delivery } from './courier.js';

/** Which vehicles of a pool need not train, because the ledger bars them from a task. It is asked only after a refusal. */
export class BarredVehicles {
  readonly #learning: Pick<LearningContract, 'standings' | 'culprits'>;
  /** By task: those whose last update the ledger does not hold. */
  readonly #doubtful = new Map<string, Set<string>>();

  constructor(learning: Pick<LearningContract, 'standings' | 'culprits'>) {
    this.#learning = learning;
  }

  /** Aggregators refuse a barred vehicle before the ledger does: its update is then too late. */
  ended(taskId: string, vehicleId: string, delivery: Delivery): void {
    if (delivery !== 'recorded') {
      const doubtful = this.#doubtful.get(taskId) ?? new Set();
      this.#doubtful.set(taskId, doubtful.add(vehicleId));
    }
  }

  /** @returns those of the pool that the ledger bars now: until an incident has cleared them. */
  async from(task: Task): Promise<readonly string[]> {
    const doubtful = [...(this.#doubtful.get(task.taskId) ?? [])];
    if (doubtful.length === 0) {
      return [];
    }
    const codes = await barredFrom(this.#learning, task);
    const barred = doubtful.filter((vehicleId) => codes.has(vehicleId));
    for (const vehicleId of doubtful.filter((one) => !codes.has(one))) {
      this.#doubtful.get(task.taskId)?.delete(vehicleId);
    }
    return barred;
  }
}
