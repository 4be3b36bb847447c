// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  type CohortRecord,
  type ConsortiumRecord,
  type RoundRecord,
  type RoundState,
  type Task,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { governance, learning } from '../ledger/contracts.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { basesOf, type BaseView } from '../services/next-attempt.js';
import { networkName, type NetworkName } from '../services/network-name.js';
import { roundIfAny, updatesOf, type LearningContract, type ServiceSession } from '../services/rounds.js';

/**
 * What one organisation sees on the ledger, by its own gateway. Nothing a caller says enters here.
 *
 * @typeParam T - a task as this organisation takes part in it.
 */
export abstract class ChannelView<T> {
  readonly network: NetworkName;
  protected readonly session: ServiceSession;
  protected readonly learning: LearningContract;
  /** What the base of the next attempt follows from. */
  readonly bases: BaseView;
  readonly #tasks = new Map<string, Promise<T>>();
  /** The hash binds all of it, and every step of a round asks again. */
  #lastCohort: { readonly hash: string; readonly members: CohortRecord['members'] } | undefined;

  constructor(session: ServiceSession) {
    this.session = session;
    this.learning = learning(session);
    this.bases = basesOf(session);
    this.network = networkName(session);
  }

  /** @throws SevError where the organisation takes no part in the task. */
  protected abstract partIn(task: Task, mspId: string): T;

  consortium(): Promise<ConsortiumRecord> {
    return governance(this.session).consortium();
  }

  /** A task never changes, so it is read once. @throws SevError as `partIn`; LedgerError TASK_UNKNOWN. */
  task(taskId: string): Promise<T> {
    const known = this.#tasks.get(taskId);
    if (known !== undefined) {
      return known;
    }
    const reading = this.learning.task(taskId).then(({ task }) => this.partIn(task, this.session.mspId));
    this.#tasks.set(taskId, reading);
    reading.catch(() => this.#tasks.delete(taskId));
    return reading;
  }

  /** The round as it is now, undefined where it was never opened. */
  roundIfAny(ref: Pick<AttemptRef, 'taskId' | 'round'>): Promise<RoundRecord | undefined> {
    return roundIfAny(this.learning, ref);
  }

  /** All updates recorded in an attempt, by vehicle id. */
  async updates(ref: AttemptRef): Promise<UpdateRecord[]> {
    const updates = await updatesOf(this.learning, ref);
    return updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  }

  /**
   * Exactly this attempt, in one of these states.
   *
   * @throws SevError ROUND_STALE for another attempt, ROUND_STATE for another state.
   */
  protected async recordOf(ref: AttemptRef, states: readonly RoundState[]): Promise<RoundRecord> {
    const round = await this.roundIfAny(ref);
    if (round?.attempt !== ref.attempt) {
      throw new SevError('ROUND_STALE', `the ledger does not show ${attemptKey(ref)}`, { exitCode: EXIT.refused });
    }
    if (!states.includes(round.state)) {
      const detail = `${attemptKey(ref)} is ${round.state}; this needs ${states.join(' or ')}`;
      throw new SevError('ROUND_STATE', detail, { exitCode: EXIT.refused });
    }
    return round;
  }

  /** The fixed cohort, checked against the hash that the round carries. */
  protected async cohortOf(ref: AttemptRef, hash: string | undefined): Promise<CohortRecord['members']> {
    if (this.#lastCohort !== undefined && this.#lastCohort.hash === hash) {
      return this.#lastCohort.members;
    }
    const { members } = await this.learning.cohort(ref);
    if (hash === undefined || cohortHash(members) !== hash) {
      throw inconsistent('cohort');
    }
    this.#lastCohort = { hash, members };
    return members;
  }
}

/** The gateway's answers contradict each other: nothing is opened on such a view. */
export function inconsistent(what: string): SevError {
  return new SevError('LEDGER_VIEW_INCONSISTENT', `the ${what} that the gateway shows is not the one of its round`, {
    hint: "Look after the organisation's peer; nothing was opened.",
    exitCode: EXIT.integrity,
  });
}
