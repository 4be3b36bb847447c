// SPDX-License-Identifier: Apache-2.0
import {
  sha256Hex,
  type CorrectionRecord,
  type CorrectionStatement,
  type CorrectModel,
  type CulpritRecord,
  type IncidentRecord,
  type IncidentStep,
  type JournalEntry,
  type OpenIncident,
  type Page,
  type PaidRoundRecord,
  type RewardStatement,
  type Task,
  type VoteIncident,
} from '../api';
import { CITY, GRID, REGULATOR, type TestConsortium } from './consortium';
import type { Vehicle } from './fleet';
import { ROUND_1 } from './learning';
import { ValidatedDriver, validatedTask } from './validated-learning';

const { taskId } = ROUND_1;
/** What organisations verified of the suspect's updates. */
export const FINDINGS = sha256Hex('findings');
export const POOL_MICRO = 1_000_000;
export const VESTING_ROUNDS = 2;

/** A task with validators that pays a million a round, to keep two rounds later. */
export function rewardedTask(change: Partial<Task> = {}): Task {
  return validatedTask({}, { rewards: { poolMicro: POOL_MICRO, vestingRounds: VESTING_ROUNDS }, ...change });
}

/** Losses that organisations measured: of the rollback, and of the candidate. */
export type Measured = Readonly<Record<string, readonly [rollbackLossMicro: number, candidateLossMicro: number]>>;

export const CANDIDATE = sha256Hex('candidate');

/** Drives incidents and rewards as operators and coordinators would. */
export class IncidentDriver extends ValidatedDriver {
  constructor(consortium: TestConsortium, task: Task = rewardedTask()) {
    super(consortium, task);
  }

  openIncident({ vehicleId }: Vehicle, rounds: readonly number[], change: Partial<OpenIncident> = {}) {
    const disputed = rounds.map((round) => ({ round, attempt: 1 }));
    const content: OpenIncident = {
      incidentId: 'incident-1',
      taskId,
      vehicleId,
      disputed,
      reason: 'suspicion',
      ...change,
    };
    return this.consortium.submit<IncidentRecord>('incidents:OpenIncident', content, GRID, 'operator');
  }

  vote(mspId: string, step: IncidentStep, change: Partial<VoteIncident> = {}): Promise<IncidentRecord> {
    const needsFindings = step === 'confirm' || step === 'clear';
    const findings = needsFindings ? { findingsHash: FINDINGS } : {};
    const argument = { incidentId: 'incident-1', step, approve: true, ...findings, ...change };
    return this.consortium.submit<IncidentRecord>('incidents:VoteIncident', argument, mspId, 'operator');
  }

  /** A majority with the regulator takes these steps, one after the other. */
  async decide(steps: readonly IncidentStep[], change: Partial<VoteIncident> = {}): Promise<IncidentRecord> {
    let record = await this.incident(change.incidentId);
    for (const step of steps) {
      for (const mspId of [GRID, CITY, REGULATOR]) {
        record = await this.vote(mspId, step, change);
      }
    }
    return record;
  }

  incident(incidentId = 'incident-1'): Promise<IncidentRecord> {
    return this.consortium.evaluate('incidents:GetIncident', { incidentId });
  }

  culprits(): Promise<CulpritRecord[]> {
    return this.consortium.evaluate('incidents:ListCulprits', { taskId });
  }

  pay(round: number): Promise<PaidRoundRecord> {
    return this.consortium.submit('rewards:PayRound', { taskId, round }, GRID, 'coordinator');
  }

  statement({ vehicleId }: Vehicle): Promise<RewardStatement> {
    return this.consortium.evaluate('rewards:Statement', { taskId, vehicleId });
  }

  async journal(): Promise<readonly JournalEntry[]> {
    const argument = { taskId, pageSize: 1_000, bookmark: '' };
    return (await this.consortium.evaluate<Page<JournalEntry>>('rewards:Journal', argument)).items;
  }

  correction(
    afterRound: number,
    rollbackHash: string,
    measured: Measured,
    change: Partial<CorrectModel> = {},
  ): CorrectModel {
    const content = { incidentId: 'incident-1', afterRound, rollbackHash, candidateHash: CANDIDATE, ...change };
    const { incidentId, candidateHash } = content;
    const about = { consortium: this.consortium.bootstrapHash, incidentId, taskId, afterRound, candidateHash };
    const losses = Object.entries(measured).map(([mspId, [rollbackLossMicro, candidateLossMicro]]) => {
      const loss = { mspId, rollbackLossMicro, candidateLossMicro };
      const statement: CorrectionStatement = {
        type: 'sev/correct-model/v1',
        ...{ ...about, rollbackHash: content.rollbackHash },
        ...loss,
      };
      return { ...loss, signature: this.signOne(mspId, statement) };
    });
    return { losses, ...content };
  }

  correct(argument: CorrectModel): Promise<CorrectionRecord> {
    return this.consortium.submit('incidents:CorrectModel', argument, GRID, 'coordinator');
  }
}
