// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord, Task, UpdateRecord } from '@sev/chaincode/api';
import type { AttemptRef, RoundRef, learning } from '../ledger/contracts.js';
import type { LedgerSession } from '../ledger/session.js';
import { errorCode } from './log.js';

/** What the services need of a ledger session. */
export type ServiceSession = Pick<LedgerSession, 'mspId' | 'evaluate' | 'submit' | 'events'>;
export type LearningContract = ReturnType<typeof learning>;

/** Reads a paged list to its end. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) {
    all.push(item);
  }
  return all;
}

/** All updates recorded in an attempt. */
export function updatesOf(contract: LearningContract, ref: AttemptRef): Promise<UpdateRecord[]> {
  return collect(contract.updates(ref));
}

/** The task, or undefined where the ledger holds none of this id. */
export async function taskIfAny(contract: LearningContract, taskId: string): Promise<Task | undefined> {
  try {
    return (await contract.task(taskId)).task;
  } catch (error) {
    if (errorCode(error) === 'TASK_UNKNOWN') {
      return undefined;
    }
    throw error;
  }
}

/** Vehicles that the task waits for in vain: their updates are refused until an incident about them is decided. */
export async function quarantinedIn(contract: LearningContract, { taskId, secure }: Task): Promise<number> {
  const standings = secure?.validation === undefined ? [] : await collect(contract.standings(taskId));
  return standings.filter(({ quarantined }) => quarantined !== undefined).length;
}

/** Updates with which a round closes at once: of all vehicles that the ledger lets take part, never below the minimum. */
export function completeCohort({ cohort }: Pick<Task, 'cohort'>, quarantined: number): number {
  return Math.max(cohort.minimum, cohort.target - quarantined);
}

/** The round, or undefined where it has never been opened. */
export async function roundIfAny(contract: LearningContract, ref: RoundRef): Promise<RoundRecord | undefined> {
  try {
    return await contract.round(ref);
  } catch (error) {
    if (errorCode(error) === 'ROUND_UNKNOWN') {
      return undefined;
    }
    throw error;
  }
}

/** The newest round of a task, undefined before the first. */
export async function latestRound(contract: LearningContract, taskId: string): Promise<RoundRecord | undefined> {
  let latest: RoundRecord | undefined;
  for await (const round of contract.rounds(taskId)) {
    if (latest === undefined || round.round > latest.round) {
      latest = round;
    }
  }
  return latest;
}
