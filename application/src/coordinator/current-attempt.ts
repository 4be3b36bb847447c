// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  MAX_ENVELOPES,
  type AbortReason,
  type Envelope,
  type ItemResult,
  type RoundRecord,
  type Task,
} from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import type { FetchObject, RoundOutcome } from '../services/round-outcome.js';
import type { LearningContract } from '../services/rounds.js';
import { EnvelopeBatcher } from './batcher.js';
import type { RoundClock } from './round-clock.js';

export interface BatchOptions {
  /** How long a batch waits for one more envelope; default 1 s. */
  readonly lingerMs?: number;
  /** How long the first envelope of a batch is held, however many follow; default 5 s. */
  readonly maxHoldMs?: number;
  /** Envelopes in one transaction; default and maximum 100. */
  readonly maxBatch?: number;
  /** Envelopes waiting for the ledger, at the most; default 10,000. */
  readonly maxWaiting?: number;
}

export interface CurrentAttemptOptions {
  readonly task: Task;
  readonly record: RoundRecord;
  readonly learning: LearningContract;
  readonly fetch: FetchObject;
  readonly clock: RoundClock;
  readonly batch: BatchOptions;
  readonly seenAtMs: number;
  /** Told when updates were recorded. */
  readonly onRecorded: () => void;
}

/** Attesters said that it is too early for this transition; asking again before `untilMs` is of no use. */
export interface TooEarly {
  readonly action: 'close' | 'abort';
  readonly untilMs: number;
}

/** What a coordinator keeps in memory of the attempt it drives; all of it can be had again from ledger and store. */
export class CurrentAttempt {
  readonly ref: AttemptRef;
  readonly clock: RoundClock;
  readonly seenAtMs: number;
  record: RoundRecord;
  /** Set once the attempt has been aggregated. */
  outcome: RoundOutcome | undefined;
  /** Why the step that the attempt waits for failed last; see `RoundView`. */
  stepFailed: AbortReason | undefined;
  hopeless: AbortReason | undefined;
  tooEarly: TooEarly | undefined;
  /** It was logged that the round waits for more vehicles. */
  hasToldOfWaiting = false;
  readonly #options: CurrentAttemptOptions;
  readonly #batcher: EnvelopeBatcher;
  readonly #ownTransactions = new Set<string>();
  readonly #objects = new Map<string, Promise<Uint8Array>>();
  readonly #recorded = new Set<string>();

  constructor(options: CurrentAttemptOptions) {
    this.#options = options;
    this.record = options.record;
    this.ref = attemptOf(options.record);
    this.clock = options.clock;
    this.seenAtMs = options.seenAtMs;
    this.#batcher = new EnvelopeBatcher({
      record: (envelopes) => this.#recordBatch(envelopes),
      onRecorded: (results) => {
        this.seeRecorded(results.filter((result) => result.accepted).map((result) => result.id));
        options.onRecorded();
      },
      missing: () => options.task.cohort.target - this.#recorded.size,
      maxBatch: Math.min(options.batch.maxBatch ?? MAX_ENVELOPES, MAX_ENVELOPES),
      lingerMs: options.batch.lingerMs ?? 1_000,
      maxHoldMs: options.batch.maxHoldMs ?? 5_000,
      maxWaiting: options.batch.maxWaiting ?? 10_000,
    });
  }

  /** Vehicles whose update is known to be on the ledger. */
  get recorded(): number {
    return this.#recorded.size;
  }

  /** Envelopes without a result. */
  get waiting(): number {
    return this.#batcher.waiting;
  }

  isOwn(transactionId: string): boolean {
    return this.#ownTransactions.has(transactionId);
  }

  /** Takes over what the ledger lists. */
  seeRecorded(vehicleIds: readonly string[]): void {
    vehicleIds.forEach((id) => this.#recorded.add(id));
  }

  /**
   * Has an envelope recorded with its batch. The update is fetched from the store meanwhile, so that the aggregation
   * finds it here.
   */
  add(envelope: Envelope): Promise<ItemResult> {
    if (this.record.state !== 'open') {
      throw new SevError('ROUND_STATE', `the round is ${this.record.state}`);
    }
    this.clock.arrived(Buffer.byteLength(canonicalJson(envelope)));
    if (this.#options.task.secure === undefined) {
      this.fetch(envelope.updateHash).catch(() => undefined);
    }
    return this.#batcher.add(envelope);
  }

  /** Reads a model or update once; a failed read is tried again by the next caller. */
  fetch(hash: string): Promise<Uint8Array> {
    const known = this.#objects.get(hash);
    if (known !== undefined) {
      return known;
    }
    const reading = this.#readBounded(hash);
    this.#objects.set(hash, reading);
    reading.catch(() => this.#objects.delete(hash));
    return reading;
  }

  /** Forgets the outcome and what it was computed from, so that both are read and computed again. */
  reconsider(): void {
    this.outcome = undefined;
    this.#objects.clear();
  }

  /** Refuses envelopes from now on. */
  close(error: Error): void {
    this.#batcher.close(error);
    this.#objects.clear();
  }

  async #recordBatch(envelopes: readonly Envelope[]): Promise<readonly ItemResult[]> {
    const { baseModelHash } = this.record;
    const submitted = await this.#options.learning.recordUpdates({ ...this.ref, baseModelHash, envelopes });
    this.#ownTransactions.add(submitted.transactionId);
    this.clock.recorded(submitted);
    const { results } = submitted.result;
    envelopes.forEach(({ updateHash }, index) => {
      if (results[index]?.accepted !== true) {
        // Anybody may send an envelope; what nobody enrolled stands behind is not kept.
        this.#objects.delete(updateHash);
      }
    });
    return results;
  }

  /** What has another length than the model is excluded whatever it holds, so its bytes are not kept. */
  async #readBounded(hash: string): Promise<Uint8Array> {
    const bytes = await this.#options.fetch(hash);
    return bytes.length === 4 * this.#options.task.model.parameters ? bytes : new Uint8Array(0);
  }
}
