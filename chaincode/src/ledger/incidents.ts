// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  type CorrectionRecord,
  type CulpritRecord,
  type IncidentRecord,
  type IncidentStep,
  type IncidentVote,
  type Member,
  type OpenedUpdateRecord,
  type Page,
} from '../api';
import { keys } from './keys';
import type { AttemptRef } from './learning';
import type { LedgerState } from './state';

/** Incidents with their votes, the vehicles that they were confirmed about, and corrections of models. */
export class IncidentRepository {
  readonly #state: LedgerState;

  constructor(state: LedgerState) {
    this.#state = state;
  }

  find(incidentId: string): Promise<IncidentRecord | undefined> {
    return this.#state.get(keys.incident(incidentId));
  }

  /** @throws ContractError INCIDENT_UNKNOWN */
  async incident(incidentId: string): Promise<IncidentRecord> {
    const record = await this.find(incidentId);
    if (record === undefined) {
      throw new ContractError('INCIDENT_UNKNOWN', incidentId);
    }
    return record;
  }

  put(record: IncidentRecord): Promise<void> {
    return this.#state.put(keys.incident(record.incidentId), record);
  }

  incidents(pageSize: number, bookmark: string): Promise<Page<IncidentRecord>> {
    return this.#state.page(keys.incidents(), pageSize, bookmark);
  }

  /** The votes on a step that these members cast in their present membership, one point read each. */
  async votes(incidentId: string, step: IncidentStep, members: readonly Member[]): Promise<IncidentVote[]> {
    const votes = await Promise.all(
      members.map(async ({ mspId, admission }) => {
        const vote = await this.#state.get(keys.incidentVote(incidentId, step, mspId));
        return vote?.admission === admission ? vote : undefined;
      }),
    );
    return votes.filter((vote) => vote !== undefined);
  }

  putVote(record: IncidentVote): Promise<void> {
    return this.#state.put(keys.incidentVote(record.incidentId, record.step, record.mspId), record);
  }

  findCulprit(taskId: string, vehicleId: string): Promise<CulpritRecord | undefined> {
    return this.#state.get(keys.culprit(taskId, vehicleId));
  }

  putCulprit(record: CulpritRecord): Promise<void> {
    return this.#state.put(keys.culprit(record.taskId, record.vehicleId), record);
  }

  /** All vehicles that incidents of a task were confirmed about, sorted; a range read. */
  culprits(taskId: string): Promise<CulpritRecord[]> {
    return this.#state.scan(keys.culprits(taskId));
  }

  /** What votes have opened of one update. */
  findOpened({ taskId, round, attempt }: AttemptRef, vehicleId: string): Promise<OpenedUpdateRecord | undefined> {
    return this.#state.get(keys.openedUpdate(taskId, round, attempt, vehicleId));
  }

  /** What votes have opened of the updates of one attempt, sorted; a range read. */
  openedIn({ taskId, round, attempt }: AttemptRef): Promise<OpenedUpdateRecord[]> {
    return this.#state.scan(keys.openedUpdates(taskId, round, attempt));
  }

  putOpened(record: OpenedUpdateRecord): Promise<void> {
    const { taskId, round, attempt, vehicleId } = record;
    return this.#state.put(keys.openedUpdate(taskId, round, attempt, vehicleId), record);
  }

  findCorrection(taskId: string, afterRound: number): Promise<CorrectionRecord | undefined> {
    return this.#state.get(keys.correction(taskId, afterRound));
  }

  /** @throws ContractError CORRECTION_UNKNOWN */
  async correction(taskId: string, afterRound: number): Promise<CorrectionRecord> {
    const record = await this.findCorrection(taskId, afterRound);
    if (record === undefined) {
      throw new ContractError('CORRECTION_UNKNOWN', `round ${afterRound} of task ${taskId}`);
    }
    return record;
  }

  putCorrection(record: CorrectionRecord): Promise<void> {
    return this.#state.put(keys.correction(record.taskId, record.afterRound), record);
  }
}
