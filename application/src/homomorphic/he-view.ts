// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  heOpeningHash,
  type CohortRecord,
  type ConsortiumRecord,
  type HeRound,
  type RoundRecord,
  type RoundState,
  type Task,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { governance, learning } from '../ledger/contracts.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { networkName, type NetworkName } from '../services/network-name.js';
import { roundIfAny, updatesOf, type LearningContract, type ServiceSession } from '../services/rounds.js';
import { heRoleOf, type HeRole } from './he-task.js';

/** A task in mode `he`, seen by one of its organisations. */
export interface HeTask {
  readonly task: Task;
  readonly role: HeRole;
}

export type HeRoundRecord = RoundRecord & { readonly he: HeRound };

/** What one organisation sees of rounds in mode `he`, by its own gateway. Nothing a caller says enters here. */
export class HeView {
  readonly network: NetworkName;
  readonly #session: ServiceSession;
  readonly #learning: LearningContract;
  readonly #tasks = new Map<string, Promise<HeTask>>();

  constructor(session: ServiceSession) {
    this.#session = session;
    this.#learning = learning(session);
    this.network = networkName(session);
  }

  consortium(): Promise<ConsortiumRecord> {
    return governance(this.#session).consortium();
  }

  /** A task never changes, so it is read once. @throws SevError MODE_NOT_HE, AGGREGATOR_NOT_NAMED; LedgerError. */
  task(taskId: string): Promise<HeTask> {
    const known = this.#tasks.get(taskId);
    if (known !== undefined) {
      return known;
    }
    const { mspId } = this.#session;
    const reading = this.#learning.task(taskId).then(({ task }) => ({ task, role: heRoleOf(task, mspId) }));
    this.#tasks.set(taskId, reading);
    reading.catch(() => this.#tasks.delete(taskId));
    return reading;
  }

  roundIfAny(ref: Pick<AttemptRef, 'taskId' | 'round'>): Promise<RoundRecord | undefined> {
    return roundIfAny(this.#learning, ref);
  }

  /** Exactly this attempt, in one of these states. @throws SevError ROUND_STALE, ROUND_STATE, MODE_NOT_HE. */
  async attempt(ref: AttemptRef, states: readonly RoundState[]): Promise<HeRoundRecord> {
    const round = await this.roundIfAny(ref);
    if (round?.attempt !== ref.attempt) {
      throw new SevError('ROUND_STALE', `the ledger does not show ${attemptKey(ref)}`, { exitCode: EXIT.refused });
    }
    if (!states.includes(round.state)) {
      const detail = `${attemptKey(ref)} is ${round.state}; this needs ${states.join(' or ')}`;
      throw new SevError('ROUND_STATE', detail, { exitCode: EXIT.refused });
    }
    const { he } = round;
    if (he === undefined) {
      throw new SevError('MODE_NOT_HE', `${attemptKey(ref)} runs in mode ${round.privacy}`);
    }
    if (heOpeningHash(he.opening) !== he.openingHash) {
      throw inconsistent('opening');
    }
    return { ...round, he };
  }

  /** All updates recorded in an attempt, by vehicle id. */
  async updates(ref: AttemptRef): Promise<UpdateRecord[]> {
    const updates = await updatesOf(this.#learning, ref);
    return updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  }

  /** The fixed cohort, checked against the round. */
  async cohort(round: HeRoundRecord): Promise<CohortRecord['members']> {
    const { members } = await this.#learning.cohort(round);
    if (cohortHash(members) !== round.he.cohortHash) {
      throw inconsistent('cohort');
    }
    return members;
  }
}

/** The gateway's answers contradict each other: nothing is opened on such a view. */
function inconsistent(what: string): SevError {
  return new SevError('LEDGER_VIEW_INCONSISTENT', `the ${what} that the gateway shows is not the one of its round`, {
    hint: "Look after the organisation's peer; nothing was opened.",
    exitCode: EXIT.integrity,
  });
}
