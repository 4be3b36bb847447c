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

/** How many vehicles the ledger refuses in a task because they are in quarantine; of a task without validators none. */
export async function countQuarantined(
  contract: LearningContract,
  { taskId, secure }: Pick<Task, 'taskId' | 'secure'>,
): Promise<number> {
  if (secure?.validation === undefined) {
    return 0;
  }
  const standings = await collect(contract.standings(taskId));
  return standings.filter(({ quarantined }) => quarantined !== undefined).length;
}

/**
 * The updates with which a round is complete: all that the task aims at but those of vehicles in quarantine, and never less
 * than its minimum.
 */
export function completeCohort({ cohort }: Pick<Task, 'cohort'>, quarantined: number): number {
  return Math.max(cohort.minimum, cohort.target - quarantined);
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
