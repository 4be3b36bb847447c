// SPDX-License-Identifier: Apache-2.0
import type { CohortRecord, RoundState } from '@sev/chaincode/api';
import { HeError, HeRuntime, SecureError } from '@sev/fl';
import type { AttemptFolder, Inbox } from '../aggregator/inbox.js';
import type { StatementBook } from '../aggregator/statement-book.js';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import type { ServiceLog } from '../services/log.js';
import type { ObjectStore } from '../store/object-store.js';
import type { HeRole } from './he-task.js';
import type { HeRoundRecord, HeTask, HeView } from './he-view.js';
import { requiredSecrets, type PartySecrets } from './party-files.js';

/** What the parts of one organisation's program share. */
export interface PartyParts {
  readonly mspId: string;
  readonly view: HeView;
  readonly inbox: Inbox;
  readonly book: StatementBook;
  readonly store: ObjectStore;
  /** Loaded when it is first needed. */
  readonly runtime: () => Promise<HeRuntime>;
  readonly log: ServiceLog;
}

export const FROM_COHORT: readonly RoundState[] = ['cohort', 'aggregated', 'finalised'];
export const FROM_AGGREGATED: readonly RoundState[] = ['aggregated', 'finalised'];

/** An attempt that was prepared here, as the ledger shows it. */
export interface PreparedAttempt extends HeTask {
  readonly round: HeRoundRecord;
  readonly folder: AttemptFolder;
  readonly secrets: PartySecrets;
}

/** @throws SevError ATTEMPT_UNKNOWN, ROUND_STALE, ROUND_STATE, ROUND_CONFLICT; PART_NOT_HELD for another's part. */
export async function preparedAttempt(
  { view, inbox, mspId }: PartyParts,
  ref: AttemptRef,
  states: readonly RoundState[],
  ...roles: readonly HeRole[]
): Promise<PreparedAttempt> {
  const folder = inbox.attempt(ref);
  const secrets = await requiredSecrets(folder);
  const { task, role } = await view.task(ref.taskId);
  if (!roles.includes(role)) {
    throw new SevError('PART_NOT_HELD', `${mspId} is the ${role} of task ${ref.taskId}`, { exitCode: EXIT.refused });
  }
  const round = await view.attempt(ref, states);
  if (secrets.baseModelHash !== round.baseModelHash) {
    throw new SevError('ROUND_CONFLICT', `${attemptKey(ref)} was prepared here from another base model`);
  }
  return { task, role, round, folder, secrets };
}

/** The cohort of an attempt, and its vehicles' ids. */
export async function cohortOf(
  { view }: PartyParts,
  round: HeRoundRecord,
): Promise<{ readonly members: CohortRecord['members']; readonly ids: readonly string[] }> {
  const members = await view.cohort(round);
  return { members, ids: members.map(({ vehicleId }) => vehicleId) };
}

/** A refusal of the library as a service answers it. */
export async function withCodes<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HeError || error instanceof SecureError) {
      throw new SevError(error.code, error.detail, { exitCode: EXIT.refused, cause: error });
    }
    throw error;
  }
}
