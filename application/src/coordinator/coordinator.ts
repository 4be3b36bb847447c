// SPDX-License-Identifier: Apache-2.0
import {
  accusedSoFar,
  auditedAsWrong,
  SECURE_RULES,
  type ConsortiumRecord,
  type CorrectionRecord,
  type OpenRound,
  type RoundState,
  type Task,
} from '@sev/chaincode/api';
import type { AggregatorClient } from '../aggregator/aggregator-client.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { SevError, hasCode } from '../errors.js';
import { computeHeOutcome } from '../homomorphic/he-outcome.js';
import { HeSteps } from '../homomorphic/he-steps.js';
import type { HePartyClient } from '../homomorphic/party-client.js';
import { governance, learning } from '../ledger/contracts.js';
import { rewards } from '../ledger/rewards.js';
import { AbortCause, type AbortEvidence } from '../services/abort-evidence.js';
import type { AttemptRef } from '../services/attempt.js';
import { correctionsOf, type FindCorrection } from '../services/corrections.js';
import { faultKind } from '../services/ledger-faults.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { followRounds } from '../services/round-events.js';
import { computeOutcome, type RoundOutcome } from '../services/round-outcome.js';
import { computeSecureOutcome } from '../services/secure-outcome.js';
import { outcomeMovedByServer, stateBefore } from '../services/server-step.js';
import { updateBytesOf } from '../services/update-bytes.js';
import { updatesOf, type LearningContract, type ServiceSession } from '../services/rounds.js';
import { backoffMs, pause, WakeUp } from '../services/wake-up.js';
import type { ObjectStore } from '../store/object-store.js';
import type { ValidatorClient } from '../validation/validator-client.js';
import type { Validator } from '../validation/validator.js';
import type { Patience } from './aggregator-panel.js';
import type { CurrentAttempt, TooEarly } from './current-attempt.js';
import { RoundClock, type RoundTiming } from './round-clock.js';
import { RoundPayer } from './round-payer.js';
import { RoundTracker } from './round-tracker.js';
import { StatementGatherer, StatementsError, type StatementSource } from './statements.js';
import type { SecureAttempt } from './secure-attempt.js';
import { AuditNeeded, DisputeError } from './secure-disputes.js';
import { SecureSteps } from './secure-steps.js';
import { nextAction, type CoordinatorAction, type RoundView, type SecureAction } from './step.js';
import { HOPELESS, STEP_FAILED, openingFailure } from './troubles.js';

export interface CoordinatorOptions {
  readonly session: ServiceSession;
  readonly store: ObjectStore;
  readonly taskId: string;
  /** The round after which the coordinator is done; default, and at most: the task's planned rounds. */
  readonly lastRound?: number;
  /** Attempts at one round before the coordinator gives up; default 5. */
  readonly maxAttempts?: number;
  readonly sources: readonly StatementSource[];
  /** Aggregators of tasks in a secure mode. */
  readonly aggregators?: readonly AggregatorClient[];
  /** How long they are waited for. */
  readonly patience?: Patience;
  /** Organisations with a part in tasks of mode `he`. */
  readonly parties?: readonly HePartyClient[];
  /** Settles disputes between aggregators. */
  readonly arbiter?: ArbiterClient;
  /** Give the reference directions of tasks that have validators. */
  readonly validators?: readonly ValidatorClient[];
  /** The one of them in this process, which hears of rounds by the coordinator. */
  readonly ownValidator?: Pick<Validator, 'hear' | 'prepareAhead'>;
  /** How often the ledger is looked at while nothing is heard; default 2 s. */
  readonly pollMs?: number;
  /** Told of every round that this coordinator finalised. */
  readonly onTiming?: (timing: RoundTiming) => void;
  readonly log: ServiceLog;
}

/** What `GET /status` answers. */
export interface CoordinatorStatus {
  readonly taskId: string;
  readonly lastRound: number | undefined;
  readonly round?: number;
  readonly attempt?: number;
  readonly state?: RoundState;
  readonly baseModelHash?: string;
  readonly recorded?: number;
}

/**
 * Drives the rounds of one task. It decides from the ledger's state alone (see {@link nextAction}), so it may be killed
 * at any point, and any number of coordinators may run at once: a transition that another one made first is answered by
 * looking at the ledger again.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #learning: LearningContract;
  readonly #correction: FindCorrection;
  readonly #tracker: RoundTracker;
  readonly #payer: RoundPayer;
  readonly #secure: SecureSteps;
  readonly #he: HeSteps;
  readonly #wakeUp = new WakeUp();
  readonly #ending = new AbortController();
  #task: Task | undefined;
  #gatherer: StatementGatherer | undefined;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#learning = learning(options.session);
    this.#correction = correctionsOf(options.session);
    const { aggregators = [], arbiter, validators = [], patience, store, log } = options;
    this.#secure = new SecureSteps({
      learning: this.#learning,
      store,
      aggregators,
      validators,
      ...(arbiter === undefined ? {} : { arbiter }),
      ...(patience === undefined ? {} : { patience }),
      log,
    });
    this.#he = new HeSteps({ learning: this.#learning, store, parties: options.parties ?? [], log });
    this.#payer = new RoundPayer({ learning: this.#learning, rewards: rewards(options.session), log });
    this.#tracker = new RoundTracker({
      taskId: options.taskId,
      learning: this.#learning,
      store: options.store,
      onNews: () => {
        this.#wakeUp.notify();
      },
    });
  }

  /**
   * Runs until the last round is final or {@link end} is called.
   *
   * @throws LedgerError for a refusal that waiting does not mend, SevError ROUND_GIVEN_UP, ROUND_CANNOT_OPEN.
   */
  async run(): Promise<void> {
    const { session, log } = this.#options;
    const events = followRounds(session, this.#ending.signal, log, (event, place) => {
      this.#options.ownValidator?.hear(event);
      this.#tracker.hear(event, place);
    });
    try {
      let done = false;
      for (let failures = 0; !done && !this.#ended();) {
        try {
          done = await this.#step();
          failures = 0;
        } catch (error) {
          await this.#recover(error, failures++);
        }
      }
    } finally {
      this.end();
      await Promise.all([events, this.#payer.idle()]);
    }
  }

  /** Ends the run after what is under way; the ledger keeps the round as it stands. */
  end(): void {
    this.#ending.abort();
    this.#wakeUp.notify();
  }

  status(): CoordinatorStatus {
    const { taskId } = this.#options;
    const lastRound = this.#task === undefined ? this.#options.lastRound : this.#lastRound(this.#task);
    const { current } = this.#tracker;
    if (current === undefined) {
      return { taskId, lastRound };
    }
    const { round, attempt, state, baseModelHash } = current.record;
    return { taskId, lastRound, round, attempt, state, baseModelHash, recorded: current.recorded };
  }

  /** @returns true when there is nothing left to do. */
  async #step(): Promise<boolean> {
    const task = (this.#task ??= await this.#begin());
    this.#gatherer ??= await this.#newGatherer();
    await this.#tracker.refresh(task);
    const action = this.#decide(task, await this.#correctionNow(task));
    if (action.kind === 'done') {
      this.#options.log.info({ taskId: task.taskId, lastRound: this.#lastRound(task) }, 'last round done');
      return true;
    }
    await this.#perform(action, task, this.#gatherer);
    return false;
  }

  async #begin(): Promise<Task> {
    const { task } = await this.#learning.task(this.#options.taskId);
    this.#payer.catchUp(task);
    return task;
  }

  /** What an incident made of the model that the next attempt starts from, where one is to be opened. */
  async #correctionNow(task: Task): Promise<CorrectionRecord | undefined> {
    const record = this.#tracker.current?.record;
    if (record === undefined || (record.state !== 'finalised' && record.state !== 'aborted')) {
      return undefined;
    }
    return this.#correction(task, record.state === 'finalised' ? record.round : record.round - 1);
  }

  #decide(task: Task, correction: CorrectionRecord | undefined): CoordinatorAction {
    const { current } = this.#tracker;
    return nextAction({
      task,
      ...(correction === undefined ? {} : { correction }),
      lastRound: this.#lastRound(task),
      maxAttempts: this.#options.maxAttempts ?? 5,
      round: current?.record,
      recorded: current?.recorded ?? 0,
      barred: current?.barredNow ?? 0,
      openSeenAtMs: current?.seenAtMs ?? 0,
      ...(current === undefined ? {} : troublesOf(current)),
      nowMs: Date.now(),
    });
  }

  #lastRound({ plannedRounds }: Task): number {
    return Math.min(this.#options.lastRound ?? plannedRounds, plannedRounds);
  }

  async #perform(action: CoordinatorAction, task: Task, gatherer: StatementGatherer): Promise<void> {
    switch (action.kind) {
      case 'open':
        await this.#open(action, task, gatherer);
        return;
      case 'wait':
        if (action.belowMinimum === true) {
          this.#tellOfWaiting(task);
        }
        await this.#wait(action.untilMs);
        return;
      case 'close':
        await this.#transition(async (current) => {
          const { ref } = current;
          const statements = action.alone ? [] : await whenDue(current, 'close', gatherer.close(ref));
          return this.#learning.closeRound({ ...ref, statements: [...statements] });
        }, task);
        return;
      case 'abort':
        await this.#transition(async (current) => {
          const { ref } = current;
          const { reason } = action;
          const evidence = await this.#abortEvidence(task, current, gatherer);
          const accused = reason === 'NOISE_FALSE' ? evidence.accused : undefined;
          // Nobody is accused on one organisation's word.
          const isAlone = action.alone && accused === undefined;
          const statements = await whenDue(current, 'abort', isAlone ? [] : gatherer.abort(ref, reason, evidence));
          const why = { reason, ...(accused === undefined ? {} : { accused }) };
          return this.#learning.abortRound({ ...ref, ...why, statements: [...statements] });
        }, task);
        return;
      case 'fix-cohort':
      case 'score':
      case 'commit-sums':
      case 'audit':
      case 'settle':
        await (task.he === undefined ? this.#secureStep(action, task, gatherer) : this.#heStep(action, task, gatherer));
        return;
      case 'finalise':
        await this.#finalise(task, gatherer);
        return;
      case 'give-up':
        throw new SevError('ROUND_GIVEN_UP', action.reason, {
          hint: 'See the reasons with `sev round show`; start the coordinator again to go on trying.',
        });
      case 'done':
        return;
    }
  }

  async #open(
    action: Extract<CoordinatorAction, { kind: 'open' }>,
    task: Task,
    { consortium }: StatementGatherer,
  ): Promise<void> {
    const startedAt = performance.now();
    const startedAtMs = Date.now();
    const { round, attempt, baseModelHash } = action;
    const ref = { taskId: task.taskId, round, attempt };
    const opening = await this.#opening(task, ref, baseModelHash, consortium);
    const submitted = await this.#learning
      .openRound({ ...ref, baseModelHash, ...opening })
      .catch((error: unknown) => Promise.reject(openingFailure(error) as Error));
    const clock = new RoundClock(false, startedAt);
    clock.opened(submitted, startedAt);
    this.#tracker.adopt(submitted.result, task, clock);
    this.#options.log.info({ round, attempt, baseModelHash }, 'round open');
    if (submitted.result.openedAtMs < startedAtMs) {
      // Another coordinator opened it before; what it has recorded since is looked up first.
      this.#tracker.distrust();
    }
  }

  async #finalise(task: Task, gatherer: StatementGatherer): Promise<void> {
    const { current } = this.#tracker;
    if (current === undefined) {
      return;
    }
    const aggregateAt = performance.now();
    if (current.outcome === undefined) {
      const average = await this.#outcome(task, current, gatherer);
      const before = await stateBefore(task, current.record, this.#learning, this.#correction);
      const fetch = (hash: string): Promise<Uint8Array> => this.#options.store.get(hash);
      current.outcome = await outcomeMovedByServer(task, average, before, fetch);
    }
    const { model, usable } = current.outcome;
    if (model === undefined || usable < task.cohort.minimum) {
      return; // the next step sees the outcome and aborts
    }
    const objects = model.serverState === undefined ? [model.bytes] : [model.bytes, model.serverState];
    await Promise.all(objects.map((bytes) => this.#options.store.put(bytes)));
    const attestations = await gatherer.attest(model.proposal);
    current.clock.aggregated(aggregateAt);
    const next = { taskId: task.taskId, round: current.ref.round + 1, attempt: 1 };
    this.#options.ownValidator?.prepareAhead(next, model.proposal.modelHash);
    const ledgerAt = performance.now();
    const submitted = await this.#learning.finaliseRound({
      proposal: model.proposal,
      attestations: [...attestations],
    });
    current.clock.transition(submitted, ledgerAt);
    this.#tracker.adopt(submitted.result, task);
    const timing = current.clock.finish(model.proposal, updateBytesOf(task));
    this.#options.log.info({ round: timing.round, cohort: timing.cohort, ms: timing.ms }, 'round final');
    this.#options.onTiming?.(timing);
    this.#payer.pay(task, timing.round);
  }

  async #opening(
    task: Task,
    ref: AttemptRef,
    baseModelHash: string,
    consortium: ConsortiumRecord,
  ): Promise<Pick<OpenRound, 'opening' | 'he' | 'statements'>> {
    if (task.he !== undefined) {
      return this.#he.opening({ consortium, task, ref, baseModelHash });
    }
    if (task.secure === undefined) {
      return {};
    }
    const before = this.#tracker.current?.record;
    const secure = before?.round === ref.round ? before.secure : undefined;
    const doubted = secure === undefined ? [] : auditedAsWrong(secure);
    const named = { accused: accusedSoFar(secure, SECURE_RULES), doubted };
    return this.#secure.opening({ consortium, task, ref, baseModelHash, ...named });
  }

  async #outcome(task: Task, current: CurrentAttempt, gatherer: StatementGatherer): Promise<RoundOutcome> {
    if (task.secure !== undefined) {
      await this.#secure.publish(this.#secureAttempt(task, current, gatherer));
      return computeSecureOutcome(task, current.record, this.#learning, (hash) => this.#options.store.get(hash));
    }
    if (task.he !== undefined) {
      const { record: round } = current;
      await this.#he.publish({ task, round, gatherer });
      return computeHeOutcome(task, round, await this.#he.members(round), (hash) => this.#options.store.get(hash));
    }
    const updates = await updatesOf(this.#learning, current.ref);
    return computeOutcome(task, current.record, updates, (hash) => current.fetch(hash));
  }

  /** A step between closing and finalising; where aggregators contradict each other, the arbiter is asked first. */
  async #secureStep(action: SecureAction, task: Task, gatherer: StatementGatherer): Promise<void> {
    const { current } = this.#tracker;
    if (current === undefined) {
      return;
    }
    const attempt = this.#secureAttempt(task, current, gatherer);
    try {
      switch (action.kind) {
        case 'fix-cohort': {
          const cohort = this.#secure.cohort(attempt);
          await this.#transition(
            async () => this.#learning.fixCohort(await whenDue(current, action.kind, cohort)),
            task,
          );
          return;
        }
        case 'score':
          await this.#transition(
            async () => this.#learning.scoreRound(await whenDue(current, 'score', this.#secure.scores(attempt))),
            task,
          );
          return;
        case 'commit-sums':
          await this.#transition(async () => this.#learning.commitSums(await this.#secure.sums(attempt)), task);
          return;
        case 'settle':
          this.#tracker.adopt(await this.#secure.settle(attempt), task);
          return;
        case 'audit': {
          const audited = await this.#secure.audit(attempt, action.component);
          if (audited === undefined) {
            current.notAudited.add(action.component);
          } else {
            this.#tracker.adopt(audited, task);
          }
        }
      }
    } catch (error) {
      if (!(error instanceof DisputeError || error instanceof AuditNeeded)) {
        throw error;
      }
      this.#options.log.warn(failureFields(error), 'asking the arbiter');
      const asked =
        error instanceof AuditNeeded
          ? this.#secure.auditSums(attempt, error)
          : this.#secure.openDispute(attempt, error);
      this.#tracker.adopt(await asked, task);
    }
  }

  /** What the failed step left, or else what aggregators say again that they hold. */
  async #abortEvidence(task: Task, current: CurrentAttempt, gatherer: StatementGatherer): Promise<AbortEvidence> {
    const isSecure = current.record.secure !== undefined && current.record.state === 'closed';
    return (
      current.evidence ??
      (isSecure ? { holdings: await this.#secure.holdings(this.#secureAttempt(task, current, gatherer)) } : {})
    );
  }

  /** A step of mode `he`, which has no scores. */
  async #heStep(step: SecureAction, task: Task, gatherer: StatementGatherer): Promise<void> {
    await this.#transition(async (current) => {
      const attempt = { task, round: current.record, gatherer };
      return step.kind === 'fix-cohort'
        ? this.#learning.fixCohort(await whenDue(current, step.kind, this.#he.cohort(attempt, step.alone)))
        : this.#learning.commitHeSum(await this.#he.sums(attempt));
    }, task);
  }

  #secureAttempt(task: Task, current: CurrentAttempt, gatherer: StatementGatherer): SecureAttempt {
    return { consortium: gatherer.consortium, task, round: current.record, gatherer };
  }

  async #transition(
    make: (current: CurrentAttempt) => ReturnType<LearningContract['closeRound']>,
    task: Task,
  ): Promise<void> {
    const { current } = this.#tracker;
    if (current === undefined) {
      return;
    }
    const startedAt = performance.now();
    const submitted = await make(current);
    current.clock.transition(submitted, startedAt);
    this.#tracker.adopt(submitted.result, task);
    const { round, attempt, state, abortReason: reason } = submitted.result;
    const { recorded, outcome } = current;
    const fields = { round, attempt, recorded, ...(outcome && { usable: outcome.usable }), ...(reason && { reason }) };
    this.#options.log.info(fields, `round ${state}`);
  }

  #tellOfWaiting({ cohort }: Task): void {
    const { current } = this.#tracker;
    if (current?.hasToldOfWaiting === false) {
      current.hasToldOfWaiting = true;
      const { recorded, ref } = current;
      const count = `${String(recorded)} of ${String(cohort.minimum)}`;
      this.#options.log.info({ round: ref.round, attempt: ref.attempt }, `waiting for vehicles: ${count} recorded`);
    }
  }

  async #wait(untilMs: number): Promise<void> {
    const limit = Math.min(untilMs, Date.now() + (this.#options.pollMs ?? 2_000));
    await this.#wakeUp.wait(limit - Date.now());
    if (Date.now() >= limit) {
      this.#tracker.distrust();
    }
  }

  async #newGatherer(): Promise<StatementGatherer> {
    return new StatementGatherer(await governance(this.#options.session).consortium(), this.#options.sources);
  }

  async #recover(error: unknown, failures: number): Promise<void> {
    if (this.#ended()) {
      return;
    }
    // Signatures are checked before they are sent: once it may be that a key was changed by vote meanwhile.
    const areKeysOld = errorCode(error) === 'SIGNATURE_INVALID' && failures === 0;
    if (faultKind(error) === 'fatal' && !areKeysOld) {
      throw error;
    }
    const { current } = this.#tracker;
    if (current !== undefined && isTooEarly(error, current)) {
      // Clocks differ a little; the next step waits for the time left.
      this.#options.log.debug(failureFields(error), 'too early for the attesters');
      return;
    }
    this.#options.log.warn(failureFields(error), 'looking at the ledger again');
    if (areKeysOld || hasCode(error, ...MEMBERS_MAY_HAVE_CHANGED)) {
      // Members, and with them the majority and the statement keys, may have changed by vote.
      this.#gatherer = undefined;
    }
    if (current !== undefined && current.record.state !== 'open') {
      // What the store holds may have changed since; the attesters look again too.
      current.reconsider();
      rememberFailure(current, error);
    }
    this.#tracker.distrust();
    await pause(backoffMs(failures, 20, 2_000), this.#ending.signal);
  }

  #ended(): boolean {
    return this.#ending.signal.aborted;
  }
}

/** Failures that a change of members, or of a statement key, may have caused. */
const MEMBERS_MAY_HAVE_CHANGED = [
  ...['STATEMENTS_INSUFFICIENT', 'AGGREGATORS_MISSING', 'DISPUTE_UNSETTLED'],
  ...['KEY_HOLDER_LOST', 'SUMMER_LOST', 'MASK_HOLDER_LOST'],
];

/** What stands in an attempt's way, as far as it is known. */
function troublesOf(current: CurrentAttempt): Partial<RoundView> {
  const { outcome, stepFailed, stepFailures, hopeless, tooEarly, notAudited } = current;
  return {
    notAudited,
    stepFailures,
    ...(outcome === undefined ? {} : { usable: outcome.usable }),
    ...(stepFailed === undefined ? {} : { stepFailed }),
    ...(hopeless === undefined ? {} : { hopeless }),
    ...(tooEarly === undefined ? {} : { tooEarly }),
  };
}

/** A ledger or store that was down says nothing about the model, and must not end the attempt. */
function rememberFailure(current: CurrentAttempt, error: unknown): void {
  const code = errorCode(error) ?? '';
  if (code === 'SECOND_WORD_AWAITED') {
    // Enough aggregators answer: only time is wanting.
    current.forgetFailures();
    return;
  }
  current.stepFailures++;
  current.evidence ??= error instanceof AbortCause ? error.evidence : undefined;
  current.stepFailed ??= STEP_FAILED[code];
  if (current.record.privacy !== 'plain') {
    current.hopeless ??= HOPELESS[code];
  }
}

/** True where the next step waits until attesters agree. */
function isTooEarly(error: unknown, { record, hopeless, tooEarly }: CurrentAttempt): boolean {
  const { state } = record;
  const isAskedLater = tooEarly?.action === 'abort' || tooEarly?.action === 'score';
  const isWaitedFor = state === 'open' || state === 'closed' || hopeless !== undefined || isAskedLater;
  return isWaitedFor && error instanceof StatementsError && error.retryAfterMs !== undefined;
}

/** How long after a refusal of an abort, for whatever reason, attesters are asked for it again. */
const ABORT_AGAIN_MS = 5_000;
/** How often an aggregator is asked whose word attesters wait for. */
const WORD_AGAIN_MS = 5_000;

/** Passes statements on; where attesters find it too early for them, the attempt remembers until when. */
async function whenDue<T>(current: CurrentAttempt, action: TooEarly['action'], statements: T | Promise<T>): Promise<T> {
  try {
    return await statements;
  } catch (error) {
    const isAskedAgain = error instanceof StatementsError && (error.retryAfterMs !== undefined || action === 'abort');
    if (isAskedAgain) {
      const laterMs = error.retryAfterMs ?? ABORT_AGAIN_MS;
      const inMs = action === 'score' ? Math.min(laterMs, WORD_AGAIN_MS) : laterMs;
      current.tooEarly = { action, untilMs: Date.now() + inMs };
    }
    throw error;
  }
}
