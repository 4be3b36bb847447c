// SPDX-License-Identifier: Apache-2.0
import type { Envelope, ItemResult, RoundRecord, Task } from '@sev/chaincode/api';
import { hasCode, SevError } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { attemptKey, attemptOf, isLater, type AttemptRef } from '../services/attempt.js';
import { EnvelopeGate } from '../services/envelope-gate.js';
import { faultKind } from '../services/ledger-faults.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { followRounds, type RoundEvent } from '../services/round-events.js';
import { barredFrom, roundIfAny, updatesOf, type LearningContract, type ServiceSession } from '../services/rounds.js';
import { backoffMs, pause } from '../services/wake-up.js';
import { BatchedAttempt, type BatchOptions, type Taken } from './batched-attempt.js';
import { BatcherMetrics } from './metrics.js';
import type { EnvelopePlace, KeptEnvelopes, Outbox } from './outbox.js';

export interface BatcherOptions {
  readonly session: ServiceSession;
  readonly outbox: Outbox;
  readonly batch?: BatchOptions;
  /** Envelopes waiting for the ledger, at the most; default 10,000. */
  readonly maxWaiting?: number;
  /** How long a vehicle waits for the ledger's result before it is told that its envelope is queued; default 8 s. */
  readonly answerMs?: number;
  /** How often the ledger is asked whether attempts are still open, beside its events; default 5 s. */
  readonly pollMs?: number;
  readonly log: ServiceLog;
}

/** What `GET /status` answers. */
export interface BatcherStatus {
  readonly mspId: string;
  readonly waiting: number;
  readonly attempts: readonly (AttemptRef & { readonly arrived: number; readonly waiting: number })[];
}

/** How long an envelope waits for its round where the vehicle heard of the opening first, and how often it looks. */
const AHEAD_MS = 2_000;
const AHEAD_LOOK_MS = 50;

/**
 * An organisation's update batcher: collects signed envelopes of any vehicle for any open round and has them recorded in
 * batches. What it took is on its disk, so it may be killed at any point. It decides nothing: the contract verifies each
 * envelope, coordinators watch the ledger, and a vehicle that is not content goes elsewhere.
 */
export class Batcher {
  readonly mspId: string;
  readonly metrics: BatcherMetrics;
  readonly #options: BatcherOptions;
  readonly #learning: LearningContract;
  readonly #gate: EnvelopeGate;
  readonly #ending = new AbortController();
  readonly #tasks = new Map<string, Task>();
  readonly #attempts = new Map<string, BatchedAttempt>();
  readonly #opening = new Map<string, Promise<BatchedAttempt>>();
  /** By task: the attempt that is looked for until the ledger shows it. */
  readonly #awaiting = new Map<string, { readonly key: string; readonly over: Promise<void> }>();
  /** By task: the vehicles whose envelopes came for the attempt before. */
  readonly #arrived = new Map<string, readonly string[]>();
  readonly #finishing = new Set<Promise<void>>();

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.mspId = options.session.mspId;
    this.metrics = new BatcherMetrics(() => this.waiting);
    this.#learning = learning(options.session);
    this.#gate = new EnvelopeGate(options.session);
  }

  /** Envelopes that were taken and have no result yet. */
  get waiting(): number {
    return [...this.#attempts.values()].reduce((sum, attempt) => sum + attempt.waiting, 0);
  }

  status(): BatcherStatus {
    const attempts = [...this.#attempts.values()].map(({ place, arrived, waiting }) => ({
      ...attemptOf(place),
      arrived: arrived.length,
      waiting,
    }));
    return { mspId: this.mspId, waiting: this.waiting, attempts };
  }

  /** Follows the ledger, and takes up what an earlier process left, until {@link end}. */
  async run(): Promise<void> {
    const { session, log, outbox, pollMs = 5_000 } = this.#options;
    const { signal } = this.#ending;
    const events = followRounds(session, signal, log, (event, { transactionId }) => {
      this.#hear(event, transactionId);
    });
    const resuming = (await outbox.kept()).map((kept) => this.#resume(kept));
    while (!signal.aborted) {
      await pause(pollMs, signal);
      await this.#sweep();
    }
    const closing = new SevError('SERVICE_CLOSING', 'the batcher is shutting down');
    const ended = [...this.#attempts.values()].map(async (attempt) => {
      await attempt.flush();
      await attempt.end(closing);
    });
    await Promise.all([events, ...resuming, ...ended, ...this.#finishing]);
  }

  /** Ends the run: what is held goes to the ledger if it answers, the rest stays in the outbox. */
  end(): void {
    this.#ending.abort();
  }

  /**
   * Takes a vehicle's envelope in, unless the {@link EnvelopeGate} turns it away.
   *
   * @returns the ledger's result; a refusal with the code that the ledger would give; or undefined where the ledger has
   *   not decided in time: the envelope is on the disk then, and goes on.
   * @throws SevError TASK_UNKNOWN, ROUND_STALE, ROUND_STATE, SERVICE_BUSY, SERVICE_CLOSING, LEDGER_VIEW_INCONSISTENT, STORAGE_FULL, STORAGE_FAILED;
   *   LedgerError.
   */
  async submit(place: EnvelopePlace, envelope: Envelope): Promise<ItemResult | undefined> {
    const attempt = await this.#attemptOf(place, envelope);
    if ('accepted' in attempt) {
      return attempt;
    }
    const taken = attempt.again(envelope) ?? (await this.#take(attempt, envelope));
    if ('accepted' in taken) {
      return taken;
    }
    taken.result.catch(() => undefined); // Nobody may be there any more to hear of it.
    await taken.kept;
    const waited = new AbortController();
    const { answerMs = 8_000 } = this.#options;
    try {
      const late = pause(answerMs, waited.signal).then(() => undefined);
      return await Promise.race([taken.result, late]);
    } finally {
      waited.abort();
    }
  }

  async #take(attempt: BatchedAttempt, envelope: Envelope): Promise<Taken | ItemResult> {
    const refusal = await this.#gate.refusalOf(attempt.record, envelope);
    if (refusal !== undefined) {
      return refusal;
    }
    const { vehicleId } = envelope;
    const bar = attempt.barTo(vehicleId);
    if (bar !== undefined) {
      return bar;
    }
    const { maxWaiting = 10_000 } = this.#options;
    if (this.waiting >= maxWaiting) {
      throw new SevError('SERVICE_BUSY', `${String(this.waiting)} envelopes are waiting`, {
        hint: 'Send the envelope again, or to another batcher.',
      });
    }
    const taken = attempt.add(envelope);
    const forget = (): void => {
      // What is known of the vehicle may have been overtaken.
      this.#gate.forget(vehicleId);
    };
    taken.result.then(({ accepted }) => {
      if (!accepted) {
        forget();
      }
    }, forget);
    return taken;
  }

  /**
   * A vehicle may hear of an opening before this organisation's gateway shows it, so the next attempt is waited for – by an
   * envelope that an active vehicle signed, since waiting costs the ledger queries and anybody can send one.
   *
   * @returns the attempt, or why the envelope is turned away.
   */
  async #attemptOf(place: EnvelopePlace, envelope: Envelope): Promise<BatchedAttempt | ItemResult> {
    try {
      return await this.#attemptFor(place);
    } catch (error) {
      if (!hasCode(error, 'LEDGER_VIEW_INCONSISTENT')) {
        throw error;
      }
    }
    const refusal = await this.#gate.refusalOf(place, envelope);
    if (refusal !== undefined) {
      return refusal;
    }
    await this.#awaited(place);
    return this.#attemptFor(place);
  }

  /** @throws SevError TASK_UNKNOWN, ROUND_STALE, ROUND_STATE, LEDGER_VIEW_INCONSISTENT, SERVICE_CLOSING; LedgerError. */
  async #attemptFor(place: EnvelopePlace): Promise<BatchedAttempt> {
    if (this.#ending.signal.aborted) {
      throw new SevError('SERVICE_CLOSING', 'the batcher is shutting down');
    }
    const key = attemptKey(place);
    const attempt = this.#attempts.get(key) ?? (await this.#open(place));
    if (attempt.place.baseModelHash !== place.baseModelHash) {
      throw new SevError('ROUND_STALE', `${key} starts from another base model`);
    }
    return attempt;
  }

  /** Looks an attempt up on the ledger, once however many envelopes for it come at the same time. */
  #open(ref: AttemptRef): Promise<BatchedAttempt> {
    const key = attemptKey(ref);
    const underWay = this.#opening.get(key);
    if (underWay !== undefined) {
      return underWay;
    }
    const opening = this.#lookUp(ref).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  async #lookUp(ref: AttemptRef): Promise<BatchedAttempt> {
    const { taskId } = ref;
    const task = this.#tasks.get(taskId) ?? (await this.#learning.task(taskId)).task;
    this.#tasks.set(taskId, task);
    const record = await this.#openRound(ref);
    const barred = await barredFrom(this.#learning, task);
    const expected = this.#arrived.get(taskId)?.filter((vehicleId) => !barred.has(vehicleId)).length ?? 0;
    const { outbox, batch = {}, log } = this.#options;
    const attempt = new BatchedAttempt({
      task,
      record,
      learning: this.#learning,
      outbox,
      batch,
      barred,
      expected,
      metrics: this.metrics,
      log,
    });
    this.#attempts.set(attemptKey(ref), attempt);
    return attempt;
  }

  /** @throws SevError ROUND_STALE, ROUND_STATE; LEDGER_VIEW_INCONSISTENT where it may be opened next. */
  async #openRound(ref: AttemptRef): Promise<RoundRecord> {
    const record = await roundIfAny(this.#learning, ref);
    if (record?.attempt === ref.attempt) {
      if (!isOpen(record, ref)) {
        throw new SevError('ROUND_STATE', `the round is ${record.state}`);
      }
      return record;
    }
    const isNext = ref.attempt === (record?.attempt ?? 0) + 1;
    if (!isNext || (record === undefined && !(await this.#hasRoundBefore(ref)))) {
      throw new SevError('ROUND_STALE', `${attemptKey(ref)} is neither the present attempt nor the next one`);
    }
    throw new SevError('LEDGER_VIEW_INCONSISTENT', `the own gateway does not show ${attemptKey(ref)} yet`);
  }

  async #hasRoundBefore({ taskId, round }: AttemptRef): Promise<boolean> {
    return round === 1 || (await roundIfAny(this.#learning, { taskId, round: round - 1 })) !== undefined;
  }

  /** Looks for the next attempt of a task until the ledger shows it, once however many wait for it. */
  async #awaited(ref: AttemptRef): Promise<void> {
    const { taskId } = ref;
    const key = attemptKey(ref);
    const waiting = this.#awaiting.get(taskId) ?? { key, over: this.#lookFor(ref) };
    if (waiting.key !== key) {
      throw new SevError('LEDGER_VIEW_INCONSISTENT', `another attempt of ${taskId} is waited for`);
    }
    this.#awaiting.set(taskId, waiting);
    try {
      await waiting.over;
    } finally {
      if (this.#awaiting.get(taskId) === waiting) {
        this.#awaiting.delete(taskId);
      }
    }
  }

  async #lookFor(ref: AttemptRef): Promise<void> {
    const giveUpAt = Date.now() + AHEAD_MS;
    for (;;) {
      try {
        await this.#open(ref);
        return;
      } catch (error) {
        const isOver = Date.now() >= giveUpAt || this.#ending.signal.aborted;
        if (isOver || !hasCode(error, 'LEDGER_VIEW_INCONSISTENT')) {
          throw error;
        }
      }
      await pause(AHEAD_LOOK_MS, this.#ending.signal);
    }
  }

  #hear(event: RoundEvent, transactionId: string): void {
    switch (event.type) {
      case 'RoundOpened':
        // Known before its envelopes come, so that they can be taken even if the ledger goes down meanwhile.
        this.#awaited(event).catch((error: unknown) => {
          this.#options.log.debug({ ...attemptOf(event), ...failureFields(error) }, 'the round could not be looked up');
        });
        return;
      case 'UpdatesRecorded':
        this.#attempts.get(attemptKey(event))?.hear(transactionId, event.accepted);
        return;
      case 'ReceiptsShown':
        return;
      default:
        this.#finish(event);
    }
  }

  /** Ends the attempts that the ledger shows to be over; an event may have been missed. */
  async #sweep(): Promise<void> {
    for (const { place } of [...this.#attempts.values()]) {
      if (this.#ending.signal.aborted) {
        return;
      }
      try {
        const record = await roundIfAny(this.#learning, place);
        if (record !== undefined && !isLater(place, record) && !isOpen(record, place)) {
          this.#finish(place);
        }
      } catch (error) {
        this.#options.log.warn({ ...attemptOf(place), ...failureFields(error) }, 'the ledger could not be asked');
      }
    }
  }

  /** Ends an attempt and those before it, and forgets their envelopes. */
  #finish(ref: AttemptRef): void {
    for (const [key, attempt] of this.#attempts) {
      const { place } = attempt;
      if (place.taskId === ref.taskId && !isLater(place, ref)) {
        this.#attempts.delete(key);
        this.#arrived.set(place.taskId, attempt.arrived);
        const over = attempt.end(new SevError('ROUND_STATE', `${key} is over`)).then(() => this.#drop(place));
        this.#finishing.add(over);
        void over.finally(() => this.#finishing.delete(over));
      }
    }
  }

  async #drop(ref: AttemptRef): Promise<void> {
    try {
      await this.#options.outbox.drop(ref);
    } catch (error) {
      this.#options.log.warn({ ...attemptOf(ref), ...failureFields(error) }, 'the outbox could not be cleared');
    }
  }

  /** Brings envelopes that an earlier process accepted to the ledger, if their attempt is still open. */
  async #resume({ place, envelopes }: KeptEnvelopes): Promise<void> {
    const { log } = this.#options;
    for (let failures = 0; !this.#ending.signal.aborted; failures++) {
      try {
        const attempt = await this.#attemptFor(place);
        const recorded = new Set((await updatesOf(this.#learning, place)).map(({ vehicleId }) => vehicleId));
        const left = envelopes.filter(({ vehicleId }) => !recorded.has(vehicleId));
        log.info({ ...attemptOf(place), envelopes: left.length }, 'taking up what was left in the outbox');
        left.forEach((envelope) => {
          attempt.resume(envelope).result.catch(() => undefined);
        });
        return;
      } catch (error) {
        if (faultKind(error) === 'overtaken') {
          await this.#drop(place); // The attempt is over; its vehicles have heard of it.
          return;
        }
        log.warn({ ...attemptOf(place), ...failureFields(error) }, 'the outbox waits for the ledger');
      }
      await pause(backoffMs(failures, 200, 5_000), this.#ending.signal);
    }
  }
}

function isOpen({ attempt, state }: RoundRecord, ref: AttemptRef): boolean {
  return attempt === ref.attempt && state === 'open';
}
