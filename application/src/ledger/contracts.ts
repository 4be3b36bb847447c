// SPDX-License-Identifier: Apache-2.0
import {
  MAX_VEHICLES_FOUND,
  type BatchResult,
  type Bootstrap,
  type CloseRound,
  type AbortRound,
  type CommitHeSum,
  type CommitSums,
  type CohortRecord,
  type ConsortiumRecord,
  type CulpritRecord,
  type EnrollVehicles,
  type FinaliseRound,
  type FixCohort,
  type FreeSlots,
  type HistoryEntry,
  type ModelRecord,
  type OpenDispute,
  type OpenRound,
  type Page,
  type ProposalRecord,
  type ProposalView,
  type Propose,
  type RecoverKey,
  type RecordUpdate,
  type ReceiptRecord,
  type RecordUpdates,
  type RotateKey,
  type RoundRecord,
  type ScoreRound,
  type ScoresRecord,
  type SetVehicleStatus,
  type SettleDispute,
  type ShowReceipts,
  type StandingRecord,
  type Task,
  type TaskRecord,
  type UpdateRecord,
  type ValidatorRecord,
  type VehicleRecord,
  type Vote,
  type freeSlots,
} from '@sev/chaincode/api';
import type { z } from 'zod';
import type { ContractName, LedgerSession, Submitted, SubmitOptions } from './session.js';

/** Records fetched by one query of a list. */
export const PAGE_SIZE = 500;

type Name = 'evaluate' | 'submit';
export type ContractSession = Pick<LedgerSession, Name>;

/** Binds a contract; the types of results are those that the contracts' api documents. */
export function bind(session: ContractSession, contract: ContractName) {
  return {
    evaluate: async <T>(transaction: string, argument: unknown) =>
      (await session.evaluate(contract, transaction, argument)) as T,
    submit: async <T>(transaction: string, argument: unknown, options?: SubmitOptions) =>
      (await session.submit(contract, transaction, argument, options)) as Submitted<T>,
  };
}

/** All items of a paged query, fetched as they are asked for. */
export async function* pages<T>(query: (bookmark: string) => Promise<Page<T>>): AsyncGenerator<T, void, undefined> {
  let bookmark = '';
  do {
    const page = await query(bookmark);
    yield* page.items;
    bookmark = page.bookmark;
  } while (bookmark !== '');
}

export interface RoundRef {
  readonly taskId: string;
  readonly round: number;
}
export interface AttemptRef extends RoundRef {
  readonly attempt: number;
}

/** The governance contract: who belongs to the consortium and what may be done. */
export function governance(session: ContractSession) {
  const { evaluate, submit } = bind(session, 'governance');
  return {
    bootstrap: (argument: Bootstrap) => submit<ConsortiumRecord>('Bootstrap', argument),
    /** Asks without a transaction whether the channel may be, or was, bootstrapped with this content. */
    checkBootstrap: (argument: Bootstrap) => evaluate<ConsortiumRecord>('Bootstrap', argument),
    propose: (argument: Propose) => submit<ProposalRecord>('Propose', argument),
    vote: (argument: Vote) => submit<ProposalRecord>('Vote', argument),
    withdraw: (proposalId: string) => submit<ProposalRecord>('Withdraw', { proposalId }),
    execute: (proposalId: string) => submit<ProposalRecord>('Execute', { proposalId }),
    consortium: () => evaluate<ConsortiumRecord>('GetConsortium', {}),
    proposal: (proposalId: string) => evaluate<ProposalView>('GetProposal', { proposalId }),
    proposals: () =>
      pages((bookmark) => evaluate<Page<ProposalRecord>>('ListProposals', { pageSize: PAGE_SIZE, bookmark })),
  };
}

/** The registry contract: which vehicles there are. */
export function registry(session: ContractSession) {
  const { evaluate, submit } = bind(session, 'registry');
  return {
    enrollVehicles: (argument: EnrollVehicles) => submit<BatchResult>('EnrollVehicles', argument),
    setVehicleStatus: (argument: SetVehicleStatus) => submit<VehicleRecord>('SetVehicleStatus', argument),
    rotateKey: (argument: RotateKey) => submit<VehicleRecord>('RotateKey', argument),
    recoverKey: (argument: RecoverKey) => submit<VehicleRecord>('RecoverKey', argument),
    vehicle: (vehicleId: string) => evaluate<VehicleRecord>('GetVehicle', { vehicleId }),
    /** Those of the vehicles that there are, in the same order, a hundred with each query; each is named once. */
    findVehicles: async (vehicleIds: readonly string[]) => {
      const found: VehicleRecord[] = [];
      for (let from = 0; from < vehicleIds.length; from += MAX_VEHICLES_FOUND) {
        const asked = { vehicleIds: vehicleIds.slice(from, from + MAX_VEHICLES_FOUND) };
        found.push(...(await evaluate<readonly VehicleRecord[]>('FindVehicles', asked)));
      }
      return found;
    },
    freeSlots: (argument: z.infer<typeof freeSlots>) => evaluate<FreeSlots>('FreeSlots', argument),
    vehicles: () =>
      pages((bookmark) => evaluate<Page<VehicleRecord>>('ListVehicles', { pageSize: PAGE_SIZE, bookmark })),
    vehicleHistory: (vehicleId: string) =>
      pages((bookmark) =>
        evaluate<Page<HistoryEntry<VehicleRecord>>>('VehicleHistory', { vehicleId, pageSize: PAGE_SIZE, bookmark }),
      ),
  };
}

/** The learning contract: tasks, rounds, updates, models. */
export function learning(session: ContractSession) {
  const { evaluate, submit } = bind(session, 'learning');
  return {
    createTask: (argument: Task) => submit<TaskRecord>('CreateTask', argument),
    openRound: (argument: OpenRound, options?: SubmitOptions) => submit<RoundRecord>('OpenRound', argument, options),
    recordUpdates: (argument: RecordUpdates, options?: SubmitOptions) =>
      submit<BatchResult>('RecordUpdates', argument, options),
    recordUpdate: (argument: RecordUpdate, options?: SubmitOptions) =>
      submit<UpdateRecord>('RecordUpdate', argument, options),
    closeRound: (argument: CloseRound, options?: SubmitOptions) => submit<RoundRecord>('CloseRound', argument, options),
    abortRound: (argument: AbortRound, options?: SubmitOptions) => submit<RoundRecord>('AbortRound', argument, options),
    finaliseRound: (argument: FinaliseRound, options?: SubmitOptions) =>
      submit<RoundRecord>('FinaliseRound', argument, options),
    showReceipts: (argument: ShowReceipts) => submit<BatchResult>('ShowReceipts', argument),
    fixCohort: (argument: FixCohort) => submit<RoundRecord>('FixCohort', argument),
    scoreRound: (argument: ScoreRound) => submit<RoundRecord>('ScoreRound', argument),
    commitSums: (argument: CommitSums) => submit<RoundRecord>('CommitSums', argument),
    commitHeSum: (argument: CommitHeSum) => submit<RoundRecord>('CommitHeSum', argument),
    openDispute: (argument: OpenDispute) => submit<RoundRecord>('OpenDispute', argument),
    settleDispute: (argument: SettleDispute) => submit<RoundRecord>('SettleDispute', argument),
    receipts: ({ taskId, round, attempt }: AttemptRef) =>
      pages((bookmark) =>
        evaluate<Page<ReceiptRecord>>('ListReceipts', { taskId, round, attempt, pageSize: PAGE_SIZE, bookmark }),
      ),
    task: (taskId: string) => evaluate<TaskRecord>('GetTask', { taskId }),
    round: ({ taskId, round }: RoundRef) => evaluate<RoundRecord>('GetRound', { taskId, round }),
    cohort: ({ taskId, round, attempt }: AttemptRef) => evaluate<CohortRecord>('GetCohort', { taskId, round, attempt }),
    scores: ({ taskId, round, attempt }: AttemptRef) => evaluate<ScoresRecord>('GetScores', { taskId, round, attempt }),
    /** Vehicles that incidents of the task were confirmed about, which rounds take into account. */
    culprits: (taskId: string) => bind(session, 'incidents').evaluate<CulpritRecord[]>('ListCulprits', { taskId }),
    model: (taskId: string, modelHash: string) => evaluate<ModelRecord>('GetModel', { taskId, modelHash }),
    tasks: () => pages((bookmark) => evaluate<Page<TaskRecord>>('ListTasks', { pageSize: PAGE_SIZE, bookmark })),
    /** What the ledger keeps of a task's validators that were heard. */
    validators: (taskId: string) => evaluate<ValidatorRecord[]>('ListValidators', { taskId }),
    standing: (taskId: string, vehicleId: string) => evaluate<StandingRecord>('GetStanding', { taskId, vehicleId }),
    standings: (taskId: string) =>
      pages((bookmark) => evaluate<Page<StandingRecord>>('ListStandings', { taskId, pageSize: PAGE_SIZE, bookmark })),
    rounds: (taskId: string) =>
      pages((bookmark) => evaluate<Page<RoundRecord>>('ListRounds', { taskId, pageSize: PAGE_SIZE, bookmark })),
    roundHistory: ({ taskId, round }: RoundRef) =>
      pages((bookmark) =>
        evaluate<Page<HistoryEntry<RoundRecord>>>('RoundHistory', { taskId, round, pageSize: PAGE_SIZE, bookmark }),
      ),
    updates: ({ taskId, round, attempt }: AttemptRef) =>
      pages((bookmark) =>
        evaluate<Page<UpdateRecord>>('ListUpdates', { taskId, round, attempt, pageSize: PAGE_SIZE, bookmark }),
      ),
    vehicleUpdates: (vehicleId: string, taskId: string) =>
      pages((bookmark) =>
        evaluate<Page<UpdateRecord>>('VehicleUpdates', { vehicleId, taskId, pageSize: PAGE_SIZE, bookmark }),
      ),
  };
}
