// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  type BaseRecord,
  type BatchResult,
  type CohortRecord,
  type HistoryEntry,
  type ModelRecord,
  type Page,
  type ReceiptRecord,
  type RoundRecord,
  type ScoresRecord,
  type ShownSumsRecord,
  type StandingRecord,
  type TaskRecord,
  type UpdateRecord,
  type ValidatorRecord,
  type VehicleDataRecord,
} from '../api';
import { keys } from './keys';
import type { LedgerState } from './state';

/** Names one attempt at a round; the records of a round carry as much. */
export interface AttemptRef {
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
}

/** Tasks, rounds, updates and models; in the secure modes receipts, cohorts, scores and standings too. */
export class LearningRepository {
  readonly #state: LedgerState;

  constructor(state: LedgerState) {
    this.#state = state;
  }

  findTask(taskId: string): Promise<TaskRecord | undefined> {
    return this.#state.get(keys.task(taskId));
  }

  /** @throws ContractError TASK_UNKNOWN */
  async task(taskId: string): Promise<TaskRecord> {
    const record = await this.findTask(taskId);
    if (record === undefined) {
      throw new ContractError('TASK_UNKNOWN', taskId);
    }
    return record;
  }

  putTask(record: TaskRecord): Promise<void> {
    return this.#state.put(keys.task(record.task.taskId), record);
  }

  tasks(pageSize: number, bookmark: string): Promise<Page<TaskRecord>> {
    return this.#state.page(keys.tasks(), pageSize, bookmark);
  }

  findRound(taskId: string, round: number): Promise<RoundRecord | undefined> {
    return this.#state.get(keys.round(taskId, round));
  }

  /** @throws ContractError ROUND_UNKNOWN */
  async round(taskId: string, round: number): Promise<RoundRecord> {
    const record = await this.findRound(taskId, round);
    if (record === undefined) {
      throw new ContractError('ROUND_UNKNOWN', `round ${round} of task ${taskId}`);
    }
    return record;
  }

  /**
   * The last finalised round of a task; 0 where there is none. Rounds follow one another without a gap, so the last one is
   * looked for in strides that double and then halve.
   *
   * @param from - a round that is known to be finalised, or 0.
   */
  async lastFinalised(taskId: string, from = 0): Promise<number> {
    const isFinalised = async (round: number): Promise<boolean> =>
      (await this.findRound(taskId, round))?.state === 'finalised';
    let last = from;
    let stride = 1;
    while (await isFinalised(last + stride)) {
      last += stride;
      stride *= 2;
    }
    for (stride = Math.floor(stride / 2); stride >= 1; stride = Math.floor(stride / 2)) {
      if (await isFinalised(last + stride)) {
        last += stride;
      }
    }
    return last;
  }

  putRound(record: RoundRecord): Promise<void> {
    return this.#state.put(keys.round(record.taskId, record.round), record);
  }

  rounds(taskId: string, pageSize: number, bookmark: string): Promise<Page<RoundRecord>> {
    return this.#state.page(keys.rounds(taskId), pageSize, bookmark);
  }

  roundHistory(
    taskId: string,
    round: number,
    pageSize: number,
    bookmark: string,
  ): Promise<Page<HistoryEntry<RoundRecord>>> {
    return this.#state.history(keys.round(taskId, round), pageSize, bookmark);
  }

  findUpdate(taskId: string, round: number, attempt: number, vehicleId: string): Promise<UpdateRecord | undefined> {
    return this.#state.get(keys.update(taskId, round, attempt, vehicleId));
  }

  putUpdate(record: UpdateRecord): Promise<void> {
    return this.#state.put(keys.update(record.taskId, record.round, record.attempt, record.vehicleId), record);
  }

  /** All updates of an attempt, sorted by vehicle; a range read, for after the round has been closed. */
  allUpdates(taskId: string, round: number, attempt: number): Promise<UpdateRecord[]> {
    return this.#state.scan(keys.updates(taskId, round, attempt));
  }

  updates(
    taskId: string,
    round: number,
    attempt: number,
    pageSize: number,
    bookmark: string,
  ): Promise<Page<UpdateRecord>> {
    return this.#state.page(keys.updates(taskId, round, attempt), pageSize, bookmark);
  }

  /** One vehicle's updates in a page of rounds, every attempt of each: point reads, so no index is kept for it. */
  async vehicleUpdates(
    vehicleId: string,
    taskId: string,
    pageSize: number,
    bookmark: string,
  ): Promise<Page<UpdateRecord>> {
    const page = await this.rounds(taskId, pageSize, bookmark);
    const attempts = page.items.flatMap(({ round, attempt }) =>
      Array.from({ length: attempt }, (_, i) => this.findUpdate(taskId, round, i + 1, vehicleId)),
    );
    const items = (await Promise.all(attempts)).filter((update) => update !== undefined);
    return { items, bookmark: page.bookmark };
  }

  findReceipt(ref: AttemptRef, vehicleId: string, mspId: string): Promise<ReceiptRecord | undefined> {
    return this.#state.get(keys.receipt(ref.taskId, ref.round, ref.attempt, vehicleId, mspId));
  }

  putReceipt(record: ReceiptRecord): Promise<void> {
    const { taskId, round, attempt, vehicleId, mspId } = record;
    return this.#state.put(keys.receipt(taskId, round, attempt, vehicleId, mspId), record);
  }

  /** All receipts shown in an attempt, sorted by vehicle; a range read, so that none is shown behind a cohort's back. */
  allReceipts({ taskId, round, attempt }: AttemptRef): Promise<ReceiptRecord[]> {
    return this.#state.scan(keys.receipts(taskId, round, attempt));
  }

  receipts({ taskId, round, attempt }: AttemptRef, pageSize: number, bookmark: string): Promise<Page<ReceiptRecord>> {
    return this.#state.page(keys.receipts(taskId, round, attempt), pageSize, bookmark);
  }

  findCohort({ taskId, round, attempt }: AttemptRef): Promise<CohortRecord | undefined> {
    return this.#state.get(keys.cohort(taskId, round, attempt));
  }

  /** @throws ContractError COHORT_UNKNOWN */
  async cohort({ taskId, round, attempt }: AttemptRef): Promise<CohortRecord> {
    const record = await this.findCohort({ taskId, round, attempt });
    if (record === undefined) {
      throw new ContractError('COHORT_UNKNOWN', `attempt ${attempt} at round ${round} of task ${taskId}`);
    }
    return record;
  }

  putCohort(record: CohortRecord): Promise<void> {
    return this.#state.put(keys.cohort(record.taskId, record.round, record.attempt), record);
  }

  /** @throws ContractError SCORES_UNKNOWN */
  async scores({ taskId, round, attempt }: AttemptRef): Promise<ScoresRecord> {
    const record = await this.#state.get(keys.scores(taskId, round, attempt));
    if (record === undefined) {
      throw new ContractError('SCORES_UNKNOWN', `attempt ${attempt} at round ${round} of task ${taskId}`);
    }
    return record;
  }

  putScores(record: ScoresRecord): Promise<void> {
    const { taskId, round, attempt } = record.scores;
    return this.#state.put(keys.scores(taskId, round, attempt), record);
  }

  findValidator(taskId: string, mspId: string): Promise<ValidatorRecord | undefined> {
    return this.#state.get(keys.validator(taskId, mspId));
  }

  putValidator(record: ValidatorRecord): Promise<void> {
    return this.#state.put(keys.validator(record.taskId, record.mspId), record);
  }

  /** All validators that were heard in a task, sorted by MSP id; a range read. */
  allValidators(taskId: string): Promise<ValidatorRecord[]> {
    return this.#state.scan(keys.validators(taskId));
  }

  findVehicleData(taskId: string, vehicleId: string): Promise<VehicleDataRecord | undefined> {
    return this.#state.get(keys.vehicleData(taskId, vehicleId));
  }

  putVehicleData(record: VehicleDataRecord): Promise<void> {
    return this.#state.put(keys.vehicleData(record.taskId, record.vehicleId), record);
  }

  findStanding(taskId: string, vehicleId: string): Promise<StandingRecord | undefined> {
    return this.#state.get(keys.standing(taskId, vehicleId));
  }

  /** @throws ContractError STANDING_UNKNOWN */
  async standing(taskId: string, vehicleId: string): Promise<StandingRecord> {
    const record = await this.findStanding(taskId, vehicleId);
    if (record === undefined) {
      throw new ContractError('STANDING_UNKNOWN', `${vehicleId} in task ${taskId}`);
    }
    return record;
  }

  putStanding(record: StandingRecord): Promise<void> {
    return this.#state.put(keys.standing(record.taskId, record.vehicleId), record);
  }

  standings(taskId: string, pageSize: number, bookmark: string): Promise<Page<StandingRecord>> {
    return this.#state.page(keys.standings(taskId), pageSize, bookmark);
  }

  findShownSums(taskId: string, baseModelHash: string): Promise<ShownSumsRecord | undefined> {
    return this.#state.get(keys.shownSums(taskId, baseModelHash));
  }

  putShownSums(record: ShownSumsRecord): Promise<void> {
    return this.#state.put(keys.shownSums(record.taskId, record.baseModelHash), record);
  }

  findBase(baseModelHash: string): Promise<BaseRecord | undefined> {
    return this.#state.get(keys.base(baseModelHash));
  }

  putBase(record: BaseRecord): Promise<void> {
    return this.#state.put(keys.base(record.baseModelHash), record);
  }

  findModel(taskId: string, modelHash: string): Promise<ModelRecord | undefined> {
    return this.#state.get(keys.model(taskId, modelHash));
  }

  putModel(record: ModelRecord): Promise<void> {
    return this.#state.put(keys.model(record.taskId, record.modelHash), record);
  }

  putBatch(result: BatchResult): Promise<void> {
    return this.#state.put(keys.batch(result.docType, result.txId), result);
  }
}
