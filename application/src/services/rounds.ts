// SPDX-License-Identifier: Apache-2.0
import type { ErrorCode, RoundRecord, Task, UpdateRecord } from '@sev/chaincode/api';
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

/**
 * Vehicles that a task waits for in vain, each with the code that the ledger refuses its updates with: of those in quarantine they
 * are refused until an incident about them is decided, and about whom one was confirmed is revoked for good. Who was suspended or
 * revoked otherwise is not among them: nothing on the ledger says whether the task's target counts it.
 */
export async function barredFrom(
  contract: Pick<LearningContract, 'standings' | 'culprits'>,
  { taskId, secure }: Pick<Task, 'taskId' | 'secure'>,
): Promise<ReadonlyMap<string, ErrorCode>> {
  if (secure === undefined) {
    return new Map();
  }
  const [standings, culprits] = await Promise.all([
    secure.validation === undefined ? [] : collect(contract.standings(taskId)),
    contract.culprits(taskId),
  ]);
  const quarantined = standings.filter((standing) => standing.quarantined !== undefined);
  return new Map<string, ErrorCode>([
    ...quarantined.map(({ vehicleId }) => [vehicleId, 'VEHICLE_QUARANTINED'] as const),
    ...culprits.map(({ vehicleId }) => [vehicleId, 'VEHICLE_NOT_ACTIVE'] as const),
  ]);
}

/** How many of the barred have no update in an attempt: those that it does not wait for. */
export function barredWithout(barred: ReadonlyMap<string, unknown> | undefined, recorded: ReadonlySet<string>): number {
  return [...(barred?.keys() ?? [])].filter((vehicleId) => !recorded.has(vehicleId)).length;
}

/** Updates with which a round closes at once: of all vehicles that the ledger lets take part, never below the minimum. */
export function completeCohort({ cohort }: Pick<Task, 'cohort'>, barred: number): number {
  return Math.max(cohort.minimum, cohort.target - barred);
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
