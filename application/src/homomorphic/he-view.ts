// SPDX-License-Identifier: Apache-2.0
import {
  heOpeningHash,
  type CohortRecord,
  type HeRound,
  type RoundRecord,
  type RoundState,
  type Task,
} from '@sev/chaincode/api';
import { ChannelView, inconsistent } from '../aggregator/channel-view.js';
import { SevError } from '../errors.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { heRoleOf, type HeRole } from './he-task.js';

/** A task in mode `he`, seen by one of its organisations. */
export interface HeTask {
  readonly task: Task;
  readonly role: HeRole;
}

export type HeRoundRecord = RoundRecord & { readonly he: HeRound };

/** What one organisation sees of rounds in mode `he`. `task` throws SevError MODE_NOT_HE, AGGREGATOR_NOT_NAMED besides. */
export class HeView extends ChannelView<HeTask> {
  /** Exactly this attempt, in one of these states. @throws SevError ROUND_STALE, ROUND_STATE, MODE_NOT_HE. */
  async attempt(ref: AttemptRef, states: readonly RoundState[]): Promise<HeRoundRecord> {
    const round = await this.recordOf(ref, states);
    const { he } = round;
    if (he === undefined) {
      throw new SevError('MODE_NOT_HE', `${attemptKey(ref)} runs in mode ${round.privacy}`);
    }
    if (heOpeningHash(he.opening) !== he.openingHash) {
      throw inconsistent('opening');
    }
    return { ...round, he };
  }

  /** The fixed cohort, checked against the round. */
  cohort(round: HeRoundRecord): Promise<CohortRecord['members']> {
    return this.cohortOf(round, round.he.cohortHash);
  }

  protected override partIn(task: Task, mspId: string): HeTask {
    return { task, role: heRoleOf(task, mspId) };
  }
}
