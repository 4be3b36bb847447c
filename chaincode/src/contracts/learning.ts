// SPDX-License-Identifier: Apache-2.0
import { Info, Transaction } from 'fabric-contract-api';
import {
  abortRound,
  canonicalJson,
  closeRound,
  commitHeSum,
  commitSums,
  ContractError,
  finaliseRound,
  fixCohort,
  getAttempt,
  getModel,
  getRound,
  getStanding,
  getTask,
  listRounds,
  listStandings,
  listTasks,
  listUpdates,
  listValidators,
  openDispute,
  openRound,
  recordUpdate,
  recordUpdates,
  roundHistory,
  scoreRound,
  settleDispute,
  showReceipts,
  task as taskSchema,
  vehicleUpdates,
  type BatchResult,
  type HeRound,
  type LedgerEvent,
  type OpenRound,
  type Proposal,
  type RoundRecord,
  type SecureRound,
  type Task,
  type TaskRecord,
} from '../api';
import { encodeResult, parseArgument } from '../codec';
import { begunBase, madeBase, newBase, requireOwnBase } from '../domain/base';
import { tally } from '../domain/batch';
import * as finalising from '../domain/finalise';
import { checkPartiesAreMembers } from '../domain/he-opening';
import { heAttempt } from '../domain/he-round';
import { finaliseHeRound } from '../domain/he-sums';
import * as rounds from '../domain/round';
import * as disputing from '../domain/secure-disputes';
import { secureAttempt } from '../domain/secure-round';
import { checkSecureParties } from '../domain/secure-task';
import { checkTask } from '../domain/task';
import { checkAccepting } from '../domain/update';
import { ConsortiumContract, LedgerContext, transitionFacts } from './context';
import { recordEnvelope, recordEnvelopes } from './envelopes';
import * as homomorphic from './he-rounds';
import * as secure from './secure-rounds';
import { keepJudged, keepValidators, validatorsOf } from './validation';

type RoundEvent = Extract<LedgerEvent, { modelHash: string }>['type'];
type SecureEvent = Extract<LedgerEvent, { attempt: number; hash: string }>['type'];

/** Federated learning: tasks, rounds as a state machine, updates by hash, models by hash. */
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
    const isSecret = task.secure !== undefined || task.he !== undefined;
    if (isSecret) {
      const [members, base] = await Promise.all([
        ctx.governance.members(),
        ctx.learning.findBase(task.model.initialModelHash),
      ]);
      requireOwnBase(task, base);
      checkSecureParties(task, members);
      checkPartiesAreMembers(task, members);
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
    if (isSecret) {
      await ctx.learning.putBase(begunBase(task, ctx.state.nowMs));
    }
    ctx.state.emit({ type: 'TaskCreated', taskId, hash: modelHash });
    return encodeResult(record);
  }

  @Transaction()
  async OpenRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(openRound, argument);
    const { task, current, previous, base, facts } = await openingFacts(ctx, input);
    const next = rounds.openRound(task, input, current, previous, facts);
    requireOwnBase(task, base);
    if (next !== current) {
      if (next.privacy !== 'plain' && base === undefined) {
        await ctx.learning.putBase(newBase(next));
      }
      await keepValidators(ctx, next, facts.validators);
    }
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
    const next = rounds.closeRound(round, task, input, await transitionFacts(ctx));
    return this.#save(ctx, 'RoundClosed', round, next);
  }

  /** Receipts that aggregators gave to vehicles, by whoever has them. */
  @Transaction()
  async ShowReceipts(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(showReceipts, argument, 'receipts');
    const { shown, receipts } = await secure.showReceipts(ctx, input, await taskAndRound(ctx, input));
    if (shown > 0) {
      const { taskId, round, attempt } = input;
      ctx.state.emit({ type: 'ReceiptsShown', taskId, round, attempt, receipts: shown });
    }
    return encodeResult(receipts);
  }

  @Transaction()
  async FixCohort(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(fixCohort, argument);
    const { task, round } = await taskAndRound(ctx, input);
    requireOwnBase(task, await ctx.learning.findBase(round.baseModelHash));
    const fixCohortOf = task.he === undefined ? secure.fixCohort : homomorphic.fixHeCohort;
    return this.#saveSecure(ctx, 'CohortFixed', round, await fixCohortOf(ctx, input, { task, round }));
  }

  @Transaction()
  async ScoreRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(scoreRound, argument);
    const { task, round } = await taskAndRound(ctx, input.scores);
    return this.#saveSecure(ctx, 'RoundScored', round, await secure.scoreRound(ctx, input, { task, round }));
  }

  @Transaction()
  async CommitSums(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(commitSums, argument);
    const { task, round } = await taskAndRound(ctx, input);
    requireOwnBase(task, await ctx.learning.findBase(round.baseModelHash));
    return this.#saveSecure(ctx, 'SumsCommitted', round, await secure.commitSums(ctx, input, { task, round }));
  }

  @Transaction()
  async CommitHeSum(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(commitHeSum, argument);
    const { task, round } = await taskAndRound(ctx, input);
    return this.#saveSecure(ctx, 'SumsCommitted', round, await homomorphic.commitHeSum(ctx, input, { task, round }));
  }

  @Transaction()
  async OpenDispute(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(openDispute, argument);
    const { task, round } = await taskAndRound(ctx, input);
    const attempt = secureAttempt(round, task, input.attempt);
    const next = disputing.openDispute(attempt, input, await transitionFacts(ctx));
    return this.#saveSecure(ctx, 'DisputeOpened', round, next);
  }

  @Transaction()
  async SettleDispute(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(settleDispute, argument);
    const { task, round } = await taskAndRound(ctx, input);
    const attempt = secureAttempt(round, task, input.attempt);
    const next = disputing.settleDispute(attempt, input, await transitionFacts(ctx));
    return this.#saveSecure(ctx, 'DisputeSettled', round, next);
  }

  @Transaction()
  async AbortRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(abortRound, argument);
    const { task, round } = await taskAndRound(ctx, input);
    const next = rounds.abortRound(round, task, input, await transitionFacts(ctx));
    return this.#save(ctx, 'RoundAborted', round, next);
  }

  /** In plain mode it scans the attempt's updates: they cannot change any more, closing was the fence. */
  @Transaction()
  async FinaliseRound(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(finaliseRound, argument);
    const { proposal } = input;
    const { taskId, attempt } = proposal;
    const { task, round } = await taskAndRound(ctx, proposal);
    if (finalising.isFinalisedWith(round, proposal)) {
      return encodeResult(round);
    }
    finalising.requireServerState(task, proposal);
    const facts = await transitionFacts(ctx);
    let next: RoundRecord;
    if (round.he !== undefined) {
      next = finaliseHeRound(heAttempt(round, task, attempt), input, facts);
    } else if (round.secure === undefined) {
      const updates = await ctx.learning.allUpdates(taskId, proposal.round, attempt);
      next = finalising.finaliseRound(round, task, input, updates, facts);
    } else {
      next = finalising.finaliseSecureRound(secureAttempt(round, task, attempt), input, facts);
    }
    await Promise.all([keepModel(ctx, task, next, proposal), keepJudged(ctx, task, next)]);
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
  async ListReceipts(ctx: LedgerContext, argument: string): Promise<string> {
    const { pageSize, bookmark, ...attempt } = parseArgument(listUpdates, argument);
    return encodeResult(await ctx.learning.receipts(attempt, pageSize, bookmark));
  }

  @Transaction(false)
  async GetCohort(ctx: LedgerContext, argument: string): Promise<string> {
    return encodeResult(await ctx.learning.cohort(parseArgument(getAttempt, argument)));
  }

  @Transaction(false)
  async GetScores(ctx: LedgerContext, argument: string): Promise<string> {
    return encodeResult(await ctx.learning.scores(parseArgument(getAttempt, argument)));
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

  @Transaction(false)
  async GetStanding(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, vehicleId } = parseArgument(getStanding, argument);
    return encodeResult(await ctx.learning.standing(taskId, vehicleId));
  }

  @Transaction(false)
  async ListStandings(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, pageSize, bookmark } = parseArgument(listStandings, argument);
    return encodeResult(await ctx.learning.standings(taskId, pageSize, bookmark));
  }

  @Transaction(false)
  async ListValidators(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId } = parseArgument(listValidators, argument);
    return encodeResult(await ctx.learning.allValidators(taskId));
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

  /** The same for the steps of a secure round. */
  async #saveSecure(ctx: LedgerContext, type: SecureEvent, current: RoundRecord, next: RoundRecord): Promise<string> {
    const { taskId, round, attempt, secure: state, he } = next;
    if (next !== current) {
      await ctx.learning.putRound(next);
      const hash = state === undefined ? heHashFor(type, he) : hashFor(type, state);
      ctx.state.emit({ type, taskId, round, attempt, hash });
    }
    return encodeResult(next);
  }

  #emitRecorded(ctx: LedgerContext, round: RoundRecord, counts: { accepted: number; refused: number }): void {
    const { taskId, attempt } = round;
    ctx.state.emit({ type: 'UpdatesRecorded', taskId, round: round.round, attempt, ...counts });
  }
}

function hashFor(type: SecureEvent, { cohortHash, scoresHash, openingHash }: SecureRound): string {
  switch (type) {
    case 'CohortFixed':
      return cohortHash ?? openingHash;
    case 'RoundScored':
    case 'SumsCommitted':
      return scoresHash ?? openingHash;
    case 'DisputeOpened':
    case 'DisputeSettled':
      return openingHash;
  }
}

function heHashFor(type: SecureEvent, he: HeRound | undefined): string {
  return (type === 'CohortFixed' ? he?.cohortHash : he?.sumHash) ?? '';
}

/** What the opening of an attempt is judged by. */
async function openingFacts(ctx: LedgerContext, { taskId, round, baseModelHash, opening, he }: OpenRound) {
  const { learning, incidents } = ctx;
  const isSecret = opening !== undefined || he !== undefined;
  const [{ task }, current, previous, correction, shown, base, common] = await Promise.all([
    learning.task(taskId),
    learning.findRound(taskId, round),
    round > 1 ? learning.findRound(taskId, round - 1) : undefined,
    round > 1 && isSecret ? incidents.findCorrection(taskId, round - 1) : undefined,
    isSecret ? learning.findShownSums(taskId, baseModelHash) : undefined,
    isSecret ? learning.findBase(baseModelHash) : undefined,
    transitionFacts(ctx),
  ]);
  const drawsFrom = task.secure?.validation?.vehicles === undefined ? undefined : previous;
  const [validators, cohort] = await Promise.all([
    validatorsOf(ctx, task),
    drawsFrom === undefined ? undefined : learning.findCohort(drawsFrom),
  ]);
  const facts = { ...common, shown: shown?.attempts, validators, correction, cohort };
  return { task, current, previous, base, facts };
}

/** Writes where a round's model came from, and whose base it is. */
async function keepModel(ctx: LedgerContext, task: Task, finalised: RoundRecord, proposal: Proposal): Promise<void> {
  const { taskId } = task;
  const { modelHash } = proposal;
  const [model, base] = await Promise.all([
    ctx.learning.findModel(taskId, modelHash),
    task.privacy === 'plain' ? undefined : ctx.learning.findBase(modelHash),
  ]);
  // A round may end with a model that the task has seen: its record tells where it came from first.
  if (model === undefined) {
    await ctx.learning.putModel(finalising.modelOf(taskId, proposal));
  }
  const shown = base === undefined ? undefined : await ctx.learning.findShownSums(base.taskId, modelHash);
  const made = madeBase(task, finalised, base, shown !== undefined);
  if (made !== undefined) {
    await ctx.learning.putBase(made);
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
