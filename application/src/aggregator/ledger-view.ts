// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  componentsOf,
  openingHash,
  scoresHash,
  type CohortRecord,
  type ConsortiumRecord,
  type RoundRecord,
  type RoundState,
  type Scores,
  type SecureRound,
  type SecureTerms,
  type Task,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { governance, learning } from '../ledger/contracts.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { networkName, type NetworkName } from '../services/network-name.js';
import { roundIfAny, updatesOf, type LearningContract, type ServiceSession } from '../services/rounds.js';

/** A task in a secure mode, seen by one of its aggregators. */
export interface SecureTask {
  readonly task: Task;
  readonly terms: SecureTerms;
  /** For each component of the sharing the indices of the aggregators that hold it. */
  readonly holders: readonly (readonly number[])[];
  /** This aggregator's index in the terms. */
  readonly index: number;
  /** Components that it holds, ascending. */
  readonly own: readonly number[];
  /** Values in a report: parameters, then metrics. */
  readonly length: number;
}

/** A round in a secure mode. */
export type SecureRoundRecord = RoundRecord & { readonly secure: SecureRound };

/** What one aggregator sees on the ledger, by its own organisation's gateway. Nothing a caller says enters here. */
export class LedgerView {
  readonly network: NetworkName;
  readonly #session: ServiceSession;
  readonly #learning: LearningContract;
  readonly #tasks = new Map<string, Promise<SecureTask>>();

  constructor(session: ServiceSession) {
    this.#session = session;
    this.#learning = learning(session);
    this.network = networkName(session);
  }

  consortium(): Promise<ConsortiumRecord> {
    return governance(this.#session).consortium();
  }

  /**
   * A task never changes, so it is read once.
   *
   * @throws SevError MODE_NOT_SECURE, AGGREGATOR_NOT_NAMED; LedgerError TASK_UNKNOWN.
   */
  task(taskId: string): Promise<SecureTask> {
    const known = this.#tasks.get(taskId);
    if (known !== undefined) {
      return known;
    }
    const reading = this.#learning.task(taskId).then(({ task }) => secureTask(task, this.#session.mspId));
    this.#tasks.set(taskId, reading);
    reading.catch(() => this.#tasks.delete(taskId));
    return reading;
  }

  /** The round as it is now, undefined where it was never opened. */
  roundIfAny(ref: Pick<AttemptRef, 'taskId' | 'round'>): Promise<RoundRecord | undefined> {
    return roundIfAny(this.#learning, ref);
  }

  /**
   * Exactly this attempt, in one of these states.
   *
   * @throws SevError ROUND_STALE for another attempt, ROUND_STATE for another state, MODE_NOT_SECURE.
   */
  async attempt(ref: AttemptRef, states: readonly RoundState[]): Promise<SecureRoundRecord> {
    const round = await this.roundIfAny(ref);
    if (round?.attempt !== ref.attempt) {
      throw new SevError('ROUND_STALE', `the ledger does not show ${attemptKey(ref)}`, { exitCode: EXIT.refused });
    }
    if (!states.includes(round.state)) {
      const detail = `${attemptKey(ref)} is ${round.state}; this needs ${states.join(' or ')}`;
      throw new SevError('ROUND_STATE', detail, { exitCode: EXIT.refused });
    }
    const { secure } = round;
    if (secure === undefined) {
      throw new SevError('MODE_NOT_SECURE', `${attemptKey(ref)} runs in mode ${round.privacy}`);
    }
    if (openingHash(secure.opening) !== secure.openingHash) {
      throw inconsistent('opening');
    }
    return { ...round, secure };
  }

  /** All updates recorded in an attempt, by vehicle id. */
  async updates(ref: AttemptRef): Promise<UpdateRecord[]> {
    const updates = await updatesOf(this.#learning, ref);
    return updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  }

  /** The fixed cohort, checked against the round. */
  async cohort(round: SecureRoundRecord): Promise<CohortRecord['members']> {
    const { members } = await this.#learning.cohort(round);
    if (cohortHash(members) !== round.secure.cohortHash) {
      throw inconsistent('cohort');
    }
    return members;
  }

  /** The attested weights, checked against the round; one a vehicle of the cohort and none above its class's. */
  async scores(round: SecureRoundRecord, task: Task, members: CohortRecord['members']): Promise<Scores> {
    const { scores } = await this.#learning.scores(round);
    const { aggregation } = task;
    const fits =
      scoresHash(scores) === round.secure.scoresHash &&
      scores.cohortHash === round.secure.cohortHash &&
      scores.weights.length === members.length &&
      members.every(({ weightClass }, i) => {
        const most = aggregation.weightClasses[weightClass]?.weight ?? 0;
        const weight = scores.weights[i] ?? -1;
        return Number.isInteger(weight) && weight >= 0 && weight <= most;
      });
    if (!fits) {
      throw inconsistent('scores');
    }
    return scores;
  }
}

function secureTask(task: Task, mspId: string): SecureTask {
  const { secure: terms } = task;
  if (terms === undefined) {
    throw new SevError('MODE_NOT_SECURE', `task ${task.taskId} runs in mode ${task.privacy}: it needs no aggregator`);
  }
  const index = terms.aggregators.indexOf(mspId);
  if (index < 0) {
    throw new SevError('AGGREGATOR_NOT_NAMED', `task ${task.taskId} does not name ${mspId} as an aggregator`);
  }
  const holders = componentsOf(terms.aggregators.length, terms.threshold);
  const own = holders.flatMap((by, component) => (by.includes(index) ? [component] : []));
  return { task, terms, holders, index, own, length: task.model.parameters + terms.metrics.length };
}

/** The gateway's answers contradict each other: nothing is opened on such a view. */
function inconsistent(what: string): SevError {
  return new SevError('LEDGER_VIEW_INCONSISTENT', `the ${what} that the gateway shows is not the one of its round`, {
    hint: "Look after the organisation's peer; nothing was opened.",
    exitCode: EXIT.integrity,
  });
}
