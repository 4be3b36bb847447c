// SPDX-License-Identifier: Apache-2.0
import {
  componentsOf,
  openingHash,
  scoresHash,
  type CohortRecord,
  type IncidentRecord,
  type RoundRecord,
  type RoundState,
  type Scores,
  type SecureRound,
  type SecureTerms,
  type Task,
} from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { incidents } from '../ledger/incidents.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { ChannelView, inconsistent } from './channel-view.js';

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

/** What one aggregator sees on the ledger. `task` throws SevError MODE_NOT_SECURE, AGGREGATOR_NOT_NAMED besides. */
export class LedgerView extends ChannelView<SecureTask> {
  /**
   * Exactly this attempt, in one of these states.
   *
   * @throws SevError ROUND_STALE for another attempt, ROUND_STATE for another state, MODE_NOT_SECURE.
   */
  async attempt(ref: AttemptRef, states: readonly RoundState[]): Promise<SecureRoundRecord> {
    const round = await this.recordOf(ref, states);
    const { secure } = round;
    if (secure === undefined) {
      throw new SevError('MODE_NOT_SECURE', `${attemptKey(ref)} runs in mode ${round.privacy}`);
    }
    if (openingHash(secure.opening) !== secure.openingHash) {
      throw inconsistent('opening');
    }
    return { ...round, secure };
  }

  /** The fixed cohort, checked against the round. */
  cohort(round: SecureRoundRecord): Promise<CohortRecord['members']> {
    return this.cohortOf(round, round.secure.cohortHash);
  }

  /** The cohort of an attempt that is over; the round may be at another attempt since. */
  async membersOf(ref: AttemptRef): Promise<CohortRecord['members']> {
    return (await this.learning.cohort(ref)).members;
  }

  /** @throws LedgerError INCIDENT_UNKNOWN. */
  incident(incidentId: string): Promise<IncidentRecord> {
    return incidents(this.session).incident(incidentId);
  }

  incidents(): AsyncIterable<IncidentRecord> {
    return incidents(this.session).incidents();
  }

  /** The attested weights, checked against the round; one a vehicle of the cohort and none above its class's. */
  async scores(round: SecureRoundRecord, task: Task, members: CohortRecord['members']): Promise<Scores> {
    const { scores } = await this.learning.scores(round);
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

  protected override partIn(task: Task, mspId: string): SecureTask {
    return secureTask(task, mspId);
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
