// SPDX-License-Identifier: Apache-2.0
import { Info, Transaction } from 'fabric-contract-api';
import {
  abortRound,
  canonicalJson,
  closeRound,
  ContractError,
  finaliseRound,
  getModel,
  getRound,
  getTask,
  listRounds,
  listTasks,
  listUpdates,
  openRound,
  recordUpdate,
  recordUpdates,
  roundHistory,
  task as taskSchema,
  vehicleUpdates,
  type BatchResult,
  type LedgerEvent,
  type RoundRecord,
  type Task,
  type TaskRecord,
} from '../api';
import { encodeResult, parseArgument } from '../codec';
import { tally } from '../domain/batch';
import * as finalising from '../domain/finalise';
import * as rounds from '../domain/round';
import { checkTask } from '../domain/task';
import { checkAccepting } from '../domain/update';
import { ConsortiumContract, LedgerContext } from './context';
import { recordEnvelope, recordEnvelopes } from './envelopes';

type RoundEvent = Extract<LedgerEvent, { modelHash: string }>['type'];

/** Federated learning in plain mode: tasks, rounds as a state machine, updates by hash, models by hash. */
@Info({ title: 'learning', description: 'Tasks, rounds, updates and models of federated learning' })
export class LearningContract extends ConsortiumContract {
  constructor() {
    super('learning');
  }

  @Transaction()
  async CreateTask(ctx: LedgerContext, argument: string): Promise<string> {
    const task = parseArgument(taskSchema, argument);
    checkTask(task);
    const { taskId } = task;
    const existing = await ctx.learning.findTask(taskId);
    if (existing !== undefined) {
      if (canonicalJson(existing.task) !== canonicalJson(task)) {
        throw new ContractError('TASK_CONFLICT', taskId);
      }
      return encodeResult(existing);
    }
    const record: TaskRecord = {
      docType: 'task',
      schemaVersion: 1,
      task,
      createdBy: ctx.caller.mspId,
      createdAtMs: ctx.state.nowMs,
    };
    const modelHash = task.model.initialModelHash;
    await ctx.learning.putTask(record);
    await ctx.learning.putModel({
      docType: 'model',
      schemaVersion: 1,
      modelHash,
      taskId,
      round: 0,
      attempt: 0,
      baseModelHash: null,
    });
    ctx.state.emit({ type: 'TaskCreated', taskId, hash: modelHash });
    return encodeResult(record);
  }

  @Transaction()
  async OpenRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(openRound, argument);
    const [{ task }, current, previous] = await Promise.all([
      ctx.learning.task(input.taskId),
      ctx.learning.findRound(input.taskId, input.round),
      input.round > 1 ? ctx.learning.findRound(input.taskId, input.round - 1) : undefined,
    ]);
    const facts = { callerMspId: ctx.caller.mspId, nowMs: ctx.state.nowMs };
    const next = rounds.openRound(task, input, current, previous, facts);
    return this.#save(ctx, 'RoundOpened', current, next);
  }

  /** A batch of envelopes: each is decided by itself, and the results are committed, refusals included. */
  @Transaction()
  async RecordUpdates(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(recordUpdates, argument, 'envelopes');
    const { task, round } = await taskAndRound(ctx, input);
    checkAccepting(round, input, ctx.state.nowMs);
    const results = await recordEnvelopes(ctx, round, task, input.envelopes);
    const { txId } = ctx.state;
    const result: BatchResult = { docType: 'updateBatch', schemaVersion: 1, txId, results };
    await ctx.learning.putBatch(result);
    this.#emitRecorded(ctx, round, tally(results));
    return encodeResult(result);
  }

  /** One envelope, by the vehicle that signed it. */
  @Transaction()
  async RecordUpdate(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(recordUpdate, argument);
    const { task, round } = await taskAndRound(ctx, input);
    checkAccepting(round, input, ctx.state.nowMs);
    if (ctx.caller.enrollmentId !== input.envelope.vehicleId) {
      throw new ContractError('ACCESS_DENIED', 'a vehicle records its own updates only');
    }
    const { update, isNew } = await recordEnvelope(ctx, round, task, input.envelope);
    if (isNew) {
      this.#emitRecorded(ctx, round, { accepted: 1, refused: 0 });
    }
    return encodeResult(update);
  }

  @Transaction()
  async CloseRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(closeRound, argument);
    const { task, round } = await taskAndRound(ctx, input);
    const next = rounds.closeRound(round, task, input, await this.#transitionFacts(ctx));
    return this.#save(ctx, 'RoundClosed', round, next);
  }

  @Transaction()
  async AbortRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(abortRound, argument);
    const { task, round } = await taskAndRound(ctx, input);
    const next = rounds.abortRound(round, task, input, await this.#transitionFacts(ctx));
    return this.#save(ctx, 'RoundAborted', round, next);
  }

  /** Scans the attempt's updates: they cannot change any more, closing was the fence. */
  @Transaction()
  async FinaliseRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(finaliseRound, argument);
    const { proposal } = input;
    const { taskId, attempt } = proposal;
    const { task, round } = await taskAndRound(ctx, proposal);
    if (finalising.isFinalisedWith(round, proposal)) {
      return encodeResult(round);
    }
    const updates = await ctx.learning.allUpdates(taskId, proposal.round, attempt);
    const next = finalising.finaliseRound(round, task, input, updates, await this.#transitionFacts(ctx));
    // A round may end with a model that the task has seen: its record tells where it came from first.
    if ((await ctx.learning.findModel(taskId, proposal.modelHash)) === undefined) {
      await ctx.learning.putModel(finalising.modelOf(taskId, proposal));
    }
    return this.#save(ctx, 'RoundFinalised', round, next);
  }

  @Transaction(false)
  async GetTask(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId } = parseArgument(getTask, argument);
    return encodeResult(await ctx.learning.task(taskId));
  }

  @Transaction(false)
  async ListTasks(ctx: LedgerContext, argument: string): Promise<string> {
    const { pageSize, bookmark } = parseArgument(listTasks, argument);
    return encodeResult(await ctx.learning.tasks(pageSize, bookmark));
  }

  @Transaction(false)
  async GetRound(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, round } = parseArgument(getRound, argument);
    return encodeResult(await ctx.learning.round(taskId, round));
  }

  @Transaction(false)
  async ListRounds(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, pageSize, bookmark } = parseArgument(listRounds, argument);
    return encodeResult(await ctx.learning.rounds(taskId, pageSize, bookmark));
  }

  @Transaction(false)
  async RoundHistory(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, round, pageSize, bookmark } = parseArgument(roundHistory, argument);
    return encodeResult(await ctx.learning.roundHistory(taskId, round, pageSize, bookmark));
  }

  @Transaction(false)
  async ListUpdates(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, round, attempt, pageSize, bookmark } = parseArgument(listUpdates, argument);
    return encodeResult(await ctx.learning.updates(taskId, round, attempt, pageSize, bookmark));
  }

  @Transaction(false)
  async VehicleUpdates(ctx: LedgerContext, argument: string): Promise<string> {
    const { vehicleId, taskId, pageSize, bookmark } = parseArgument(vehicleUpdates, argument);
    return encodeResult(await ctx.learning.vehicleUpdates(vehicleId, taskId, pageSize, bookmark));
  }

  @Transaction(false)
  async GetModel(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, modelHash } = parseArgument(getModel, argument);
    const model = await ctx.learning.findModel(taskId, modelHash);
    if (model === undefined) {
      throw new ContractError('MODEL_UNKNOWN', `${modelHash} of task ${taskId}`);
    }
    return encodeResult(model);
  }

  async #transitionFacts(ctx: LedgerContext): Promise<rounds.TransitionFacts> {
    const { governance } = ctx;
    const [consortium, organisations] = await Promise.all([governance.consortiumHash(), governance.members()]);
    return { consortium, callerMspId: ctx.caller.mspId, nowMs: ctx.state.nowMs, organisations };
  }

  /** Writes a transition unless it repeats what the ledger holds. */
  async #save(
    ctx: LedgerContext,
    type: RoundEvent,
    current: RoundRecord | undefined,
    next: RoundRecord,
  ): Promise<string> {
    if (next !== current) {
      await ctx.learning.putRound(next);
      const { taskId, round, attempt, proposal, baseModelHash } = next;
      ctx.state.emit({ type, taskId, round, attempt, modelHash: proposal?.modelHash ?? baseModelHash });
    }
    return encodeResult(next);
  }

  #emitRecorded(ctx: LedgerContext, round: RoundRecord, counts: { accepted: number; refused: number }): void {
    const { taskId, attempt } = round;
    ctx.state.emit({ type: 'UpdatesRecorded', taskId, round: round.round, attempt, ...counts });
  }
}

/** Read together: records that are read without waiting for each other cost one message to the peer. */
async function taskAndRound(
  ctx: LedgerContext,
  ref: { readonly taskId: string; readonly round: number },
): Promise<{ task: Task; round: RoundRecord }> {
  const [{ task }, round] = await Promise.all([
    ctx.learning.task(ref.taskId),
    ctx.learning.round(ref.taskId, ref.round),
  ]);
  return { task, round };
}
