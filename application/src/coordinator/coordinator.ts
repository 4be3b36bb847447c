// SPDX-License-Identifier: Apache-2.0
import type { AbortReason, Envelope, ItemResult, RoundState, Task } from '@sev/chaincode/api';
import type { AggregatorClient } from '../aggregator/aggregator-client.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { SevError, hasCode } from '../errors.js';
import { governance, learning } from '../ledger/contracts.js';
import type { AttemptRef } from '../services/attempt.js';
import { faultKind } from '../services/ledger-faults.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { followRounds } from '../services/round-events.js';
import { computeOutcome, type RoundOutcome } from '../services/round-outcome.js';
import { computeSecureOutcome } from '../services/secure-outcome.js';
import { updatesOf, type LearningContract, type ServiceSession } from '../services/rounds.js';
import { backoffMs, pause, WakeUp } from '../services/wake-up.js';
import type { ObjectStore } from '../store/object-store.js';
import type { BatchOptions, CurrentAttempt, TooEarly } from './current-attempt.js';
import { EnvelopeGate } from './envelope-gate.js';
import { RoundClock, type RoundTiming } from './round-clock.js';
import { RoundTracker } from './round-tracker.js';
import { StatementGatherer, StatementsError, type StatementSource } from './statements.js';
import { DisputeError, SecureSteps, type SecureAttempt } from './secure-steps.js';
import { nextAction, type CoordinatorAction, type RoundView, type SecureStep } from './step.js';

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
  /** Settles disputes between aggregators. */
  readonly arbiter?: ArbiterClient;
  readonly batch?: BatchOptions;
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
  readonly waiting?: number;
}

/**
 * Drives the rounds of one task. It decides from the ledger's state alone (see {@link nextAction}), so it may be killed
 * at any point, and any number of coordinators may run at once: a transition that another one made first is answered by
 * looking at the ledger again.
 */
export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #learning: LearningContract;
  readonly #tracker: RoundTracker;
  readonly #gate: EnvelopeGate;
  readonly #secure: SecureSteps;
  readonly #wakeUp = new WakeUp();
  readonly #ending = new AbortController();
  #task: Task | undefined;
  #gatherer: StatementGatherer | undefined;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#learning = learning(options.session);
    this.#gate = new EnvelopeGate(options.session);
    const { aggregators = [], arbiter, log } = options;
    this.#secure = new SecureSteps({
      learning: this.#learning,
      aggregators,
      ...(arbiter === undefined ? {} : { arbiter }),
      log,
    });
    this.#tracker = new RoundTracker({
      taskId: options.taskId,
      learning: this.#learning,
      store: options.store,
      batch: options.batch ?? {},
      onNews: () => {
        this.#wakeUp.notify();
      },
    });
  }

  /**
   * Runs until the last round is final or {@link end} is called.
   *
   * @throws LedgerError for a refusal that waiting does not mend, SevError ROUND_GIVEN_UP.
   */
  async run(): Promise<void> {
    const { session, log } = this.#options;
    const events = followRounds(session, this.#ending.signal, log, (event, transactionId) => {
      this.#tracker.hear(event, transactionId);
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
      await events;
    }
  }

  /** Ends the run after what is under way; the ledger keeps the round as it stands. */
  end(): void {
    this.#ending.abort();
    this.#tracker.current?.close(new SevError('SERVICE_CLOSING', 'the coordinator is shutting down'));
    this.#wakeUp.notify();
  }

  /**
   * Has a vehicle's envelope recorded, unless the {@link EnvelopeGate} turns it away.
   *
   * @returns the ledger's result, once it is committed; or a refusal with the code that the ledger would give.
   * @throws SevError TASK_UNKNOWN, ROUND_STALE, ROUND_STATE, SERVICE_BUSY, SERVICE_CLOSING; LedgerError.
   */
  async submitEnvelope(ref: AttemptRef & { readonly baseModelHash: string }, envelope: Envelope): Promise<ItemResult> {
    if (ref.taskId !== this.#options.taskId) {
      throw new SevError('TASK_UNKNOWN', `this coordinator drives task ${this.#options.taskId}`);
    }
    const attempt = await this.#tracker.attemptFor(ref, this.#ending.signal);
    const refusal = await this.#gate.refusalOf(attempt.record, envelope);
    if (refusal !== undefined) {
      return refusal;
    }
    const result = await attempt.add(envelope);
    if (!result.accepted) {
      // What is known of the vehicle may have been overtaken.
      this.#gate.forget(envelope.vehicleId);
    }
    return result;
  }

  status(): CoordinatorStatus {
    const { taskId } = this.#options;
    const lastRound = this.#task === undefined ? this.#options.lastRound : this.#lastRound(this.#task);
    const { current } = this.#tracker;
    if (current === undefined) {
      return { taskId, lastRound };
    }
    const { round, attempt, state, baseModelHash } = current.record;
    const { recorded, waiting } = current;
    return { taskId, lastRound, round, attempt, state, baseModelHash, recorded, waiting };
  }

  /** @returns true when there is nothing left to do. */
  async #step(): Promise<boolean> {
    const task = (this.#task ??= (await this.#learning.task(this.#options.taskId)).task);
    this.#gatherer ??= await this.#newGatherer();
    await this.#tracker.refresh(task);
    const action = this.#decide(task);
    if (action.kind === 'done') {
      this.#options.log.info({ taskId: task.taskId, lastRound: this.#lastRound(task) }, 'last round done');
      return true;
    }
    await this.#perform(action, task, this.#gatherer);
    return false;
  }

  #decide(task: Task): CoordinatorAction {
    const { current } = this.#tracker;
    return nextAction({
      task,
      lastRound: this.#lastRound(task),
      maxAttempts: this.#options.maxAttempts ?? 5,
      round: current?.record,
      recorded: current?.recorded ?? 0,
      waiting: current?.waiting ?? 0,
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
        await this.#open(action, task);
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
          const asked = action.alone ? [] : gatherer.abort(ref, action.reason);
          const statements = await whenDue(current, 'abort', asked);
          return this.#learning.abortRound({ ...ref, reason: action.reason, statements: [...statements] });
        }, task);
        return;
      case 'fix-cohort':
      case 'score':
      case 'commit-sums':
        await this.#secureStep(action.kind, task, gatherer);
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

  async #open(action: Extract<CoordinatorAction, { kind: 'open' }>, task: Task): Promise<void> {
    const startedAt = performance.now();
    const startedAtMs = Date.now();
    const { round, attempt, baseModelHash } = action;
    const ref = { taskId: task.taskId, round, attempt };
    const secure = task.secure === undefined ? {} : await this.#secure.opening(task, ref, baseModelHash);
    const submitted = await this.#learning.openRound({ ...ref, baseModelHash, ...secure });
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
      current.outcome = await this.#outcome(task, current, gatherer);
    }
    const { model, usable } = current.outcome;
    if (model === undefined || usable < task.cohort.minimum) {
      return; // the next step sees the outcome and aborts
    }
    await this.#options.store.put(model.bytes);
    const attestations = await gatherer.attest(model.proposal);
    current.clock.aggregated(aggregateAt);
    const ledgerAt = performance.now();
    const submitted = await this.#learning.finaliseRound({
      proposal: model.proposal,
      attestations: [...attestations],
    });
    current.clock.transition(submitted, ledgerAt);
    this.#tracker.adopt(submitted.result, task);
    const timing = current.clock.finish(model.proposal, 4 * task.model.parameters);
    this.#options.log.info({ round: timing.round, cohort: timing.cohort, ms: timing.ms }, 'round final');
    this.#options.onTiming?.(timing);
  }

  async #outcome(task: Task, current: CurrentAttempt, gatherer: StatementGatherer): Promise<RoundOutcome> {
    if (task.secure !== undefined) {
      await this.#secure.publish(this.#secureAttempt(task, current, gatherer));
      return computeSecureOutcome(task, current.record, this.#learning, (hash) => this.#options.store.get(hash));
    }
    const updates = await updatesOf(this.#learning, current.ref);
    return computeOutcome(task, current.record, updates, (hash) => current.fetch(hash));
  }

  /** A step between closing and finalising; where aggregators contradict each other, the arbiter is asked first. */
  async #secureStep(step: SecureStep, task: Task, gatherer: StatementGatherer): Promise<void> {
    try {
      await this.#transition(async (current) => {
        const attempt = this.#secureAttempt(task, current, gatherer);
        switch (step) {
          case 'fix-cohort':
            return this.#learning.fixCohort(await whenDue(current, 'close', this.#secure.cohort(attempt)));
          case 'score':
            return this.#learning.scoreRound(await this.#secure.scores(attempt));
          case 'commit-sums':
            return this.#learning.commitSums(await this.#secure.sums(attempt));
        }
      }, task);
    } catch (error) {
      const { current } = this.#tracker;
      if (!(error instanceof DisputeError) || current === undefined) {
        throw error;
      }
      this.#options.log.warn(failureFields(error), 'asking the arbiter');
      this.#tracker.adopt(await this.#secure.settle(this.#secureAttempt(task, current, gatherer), error), task);
    }
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
    if (faultKind(error) === 'fatal') {
      throw error;
    }
    const { current } = this.#tracker;
    const task = this.#task;
    if (error instanceof StatementsError && error.retryAfterMs !== undefined && current?.record.state === 'open') {
      // Clocks differ a little; the next step waits for the time left.
      this.#options.log.debug(failureFields(error), 'too early for the attesters');
      return;
    }
    this.#options.log.warn(failureFields(error), 'looking at the ledger again');
    if (hasCode(error, 'STATEMENTS_INSUFFICIENT')) {
      // Members, and with them the majority and the statement keys, may have changed by vote.
      this.#gatherer = undefined;
    }
    if (current !== undefined && current.record.state !== 'open') {
      // What the store holds may have changed since; the attesters look again too.
      current.reconsider();
      // A ledger or store that was down says nothing about the model, and must not end the attempt.
      const code = errorCode(error) ?? '';
      current.stepFailed ??= STEP_FAILED[code];
      current.hopeless ??= task?.secure === undefined ? undefined : HOPELESS[code];
    }
    this.#tracker.distrust();
    await pause(backoffMs(failures, 20, 2_000), this.#ending.signal);
  }

  #ended(): boolean {
    return this.#ending.signal.aborted;
  }
}

/** What stands in an attempt's way, as far as it is known. */
function troublesOf({ outcome, stepFailed, hopeless, tooEarly }: CurrentAttempt): Partial<RoundView> {
  return {
    ...(outcome === undefined ? {} : { usable: outcome.usable }),
    ...(stepFailed === undefined ? {} : { stepFailed }),
    ...(hopeless === undefined ? {} : { hopeless }),
    ...(tooEarly === undefined ? {} : { tooEarly }),
  };
}

/** Failures of a step after closing that end the attempt when the time of a round has gone by. */
const STEP_FAILED: Readonly<Record<string, AbortReason>> = {
  STATEMENTS_INSUFFICIENT: 'NO_MAJORITY',
  AGGREGATORS_MISSING: 'AGGREGATORS_MISSING',
  VERDICT_AGAINST: 'AGGREGATORS_MISSING',
  ARBITER_MISSING: 'DISPUTE_UNSETTLED',
  DISPUTE_OPEN: 'DISPUTE_UNSETTLED',
  DISPUTE_REFUSED: 'DISPUTE_UNSETTLED',
};

/** Refusals of a cohort that no further try mends. */
const HOPELESS: Readonly<Record<string, AbortReason>> = {
  COHORT_TOO_SMALL: 'COHORT_TOO_SMALL',
  COHORT_TOO_CLOSE: 'COHORT_TOO_CLOSE',
  COHORT_TOO_LARGE: 'COHORT_TOO_LARGE',
  BASE_BURNED: 'COHORT_TOO_CLOSE',
};

/** Passes statements on; where attesters find it too early for them, the attempt remembers until when. */
async function whenDue<T>(current: CurrentAttempt, action: TooEarly['action'], statements: T | Promise<T>): Promise<T> {
  try {
    return await statements;
  } catch (error) {
    if (error instanceof StatementsError && error.retryAfterMs !== undefined) {
      current.tooEarly = { action, untilMs: Date.now() + error.retryAfterMs };
    }
    throw error;
  }
}
