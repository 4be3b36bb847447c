// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  MAX_ENVELOPES,
  type Envelope,
  type ErrorCode,
  type ItemResult,
  type RoundRecord,
  type Task,
} from '@sev/chaincode/api';
import { attemptOf } from '../services/attempt.js';
import { faultKind } from '../services/ledger-faults.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { completeCohort, type LearningContract } from '../services/rounds.js';
import { backoffMs, pause } from '../services/wake-up.js';
import { EnvelopeBatcher } from './envelope-batcher.js';
import type { BatcherMetrics } from './metrics.js';
import type { EnvelopePlace, Outbox } from './outbox.js';

export interface BatchOptions {
  /** How long a batch waits for one more envelope; default 1 s. */
  readonly lingerMs?: number;
  /** How long the first envelope of a batch is held, however many follow; default 5 s, or a sixth of a shorter grace time. */
  readonly maxHoldMs?: number;
  /** Envelopes in one transaction; default and maximum 100. */
  readonly maxBatch?: number;
}

export interface BatchedAttemptOptions {
  readonly task: Task;
  readonly record: RoundRecord;
  readonly learning: LearningContract;
  readonly outbox: Outbox;
  readonly batch: BatchOptions;
  /** Vehicles whose updates the ledger refuses in this task, and with which code. */
  readonly barred: ReadonlyMap<string, ErrorCode>;
  /** Envelopes to expect, as many as came for the attempt before; 0 where that is not known. */
  readonly expected: number;
  readonly metrics: BatcherMetrics;
  readonly log: ServiceLog;
}

/** An envelope that was taken. */
export interface Taken {
  /** Resolves when the envelope is on the disk: from then on it is recorded while its attempt is open. */
  readonly kept: Promise<void>;
  /** The ledger's result. Rejects where the attempt, or the service, ends before there is one. */
  readonly result: Promise<ItemResult>;
}

interface Entry extends Taken {
  readonly content: string;
}

/** A batch that would still be held when coordinators may close is recorded this much before; a quarter of a shorter time. */
const BEFORE_GRACE_MS = 1_000;
/** How long the ledger may still answer about what is on its way when the end has come. */
const LAST_ANSWERS_MS = 5_000;

/** The envelopes of one open attempt, from their arrival to the ledger's result. */
export class BatchedAttempt {
  readonly place: EnvelopePlace;
  readonly record: RoundRecord;
  readonly #options: BatchedAttemptOptions;
  readonly #batcher: EnvelopeBatcher;
  readonly #ending = new AbortController();
  readonly #givingUp = new AbortController();
  /** By vehicle: one envelope each, until it is refused. */
  readonly #entries = new Map<string, Entry>();
  /** Updates that others had recorded. */
  #ofOthers = 0;
  readonly #ownTransactions = new Set<string>();
  /** Heard of while own batches were under way: an event may come before the own answer. */
  #unclear: { readonly transactionId: string; readonly accepted: number }[] = [];
  #underWay = 0;
  #pending = 0;
  #endedWith: Error | undefined;

  constructor(options: BatchedAttemptOptions) {
    const { record, batch, task } = options;
    this.#options = options;
    this.record = record;
    this.place = { ...attemptOf(record), baseModelHash: record.baseModelHash };
    const { graceMs } = task.deadlines;
    const hurryAtMs = record.openedAtMs + graceMs - Math.min(BEFORE_GRACE_MS, graceMs / 4);
    this.#batcher = new EnvelopeBatcher({
      record: (envelopes) => this.#record(envelopes),
      missing: () => this.#missing(),
      hurryMs: () => (Date.now() < hurryAtMs ? hurryAtMs - Date.now() : Infinity),
      maxBatch: Math.min(batch.maxBatch ?? MAX_ENVELOPES, MAX_ENVELOPES),
      lingerMs: batch.lingerMs ?? 1_000,
      // Vehicles give batchers a third of the grace time before they record by themselves.
      maxHoldMs: batch.maxHoldMs ?? Math.min(5_000, graceMs / 6),
    });
  }

  /** Envelopes that were taken and have no result yet. */
  get waiting(): number {
    return this.#pending;
  }

  /** Vehicles that have an envelope here. */
  get arrived(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /**
   * The ledger's refusal where the task barred the vehicle when the attempt was looked up. It is not waited for; let off
   * meanwhile, it records its update by itself.
   */
  barTo(vehicleId: string): ItemResult | undefined {
    const code = this.#options.barred.get(vehicleId);
    return code && { id: vehicleId, accepted: false, code, detail: 'when the round was looked up' };
  }

  /** This very envelope, where it was taken before: sent again it costs nothing. */
  again(envelope: Envelope): Taken | undefined {
    const entry = this.#entries.get(envelope.vehicleId);
    return entry?.content === canonicalJson(envelope) ? entry : undefined;
  }

  /** Takes an envelope: to the disk first, then to the ledger with its batch. */
  add(envelope: Envelope): Taken {
    return this.#take(envelope, () => this.#options.outbox.keep(this.place, envelope));
  }

  /** Takes an envelope that lies in the outbox already. */
  resume(envelope: Envelope): Taken {
    return this.#take(envelope, () => Promise.resolve());
  }

  /** A transaction has recorded updates of this attempt, an own one or not. */
  hear(transactionId: string, accepted: number): void {
    this.#unclear.push({ transactionId, accepted });
    this.#count();
    this.#batcher.reconsider();
  }

  /** Sends all that was taken to the ledger; resolves when it is on its way. */
  async flush(): Promise<void> {
    await Promise.allSettled([...this.#entries.values()].map(({ kept }) => kept));
    this.#batcher.flush();
  }

  /** Takes nothing more and gives up what cannot be recorded now; resolves when nothing is under way. */
  async end(error: Error): Promise<void> {
    this.#endedWith ??= error;
    this.#ending.abort();
    this.#batcher.close(error);
    const timer = setTimeout(() => {
      this.#givingUp.abort();
    }, LAST_ANSWERS_MS);
    await Promise.allSettled([...this.#entries.values()].map(({ result }) => result));
    clearTimeout(timer);
  }

  /** @throws SevError what the attempt ended with: its file in the outbox is gone, and must not come back. */
  #take(envelope: Envelope, keep: () => Promise<void>): Taken {
    const { vehicleId } = envelope;
    if (this.#endedWith !== undefined) {
      throw this.#endedWith;
    }
    if (this.#entries.has(vehicleId)) {
      return this.again(envelope) ?? duplicate(vehicleId);
    }
    this.#pending++;
    const kept = keep();
    const result = kept
      .then(() => this.#batcher.add(envelope))
      .finally(() => {
        this.#pending--;
      });
    const entry = { content: canonicalJson(envelope), kept, result };
    this.#entries.set(vehicleId, entry);
    const forget = (): void => {
      this.#entries.delete(vehicleId);
    };
    result.then(({ accepted }) => {
      if (!accepted) {
        forget(); // What the ledger refuses now it may accept once the vehicle is reinstated.
      }
    }, forget);
    return entry;
  }

  /** Envelopes to come until the cohort is complete, or as many are here as came last time. */
  #missing(): number {
    const { task, barred, expected } = this.#options;
    const answered = this.#entries.size - this.#pending;
    const likeLastTime = this.#entries.size > expected ? 0 : expected - answered;
    const complete = completeCohort(task, barred.size);
    const open = [complete - this.#ofOthers - answered, likeLastTime].filter((count) => count > 0);
    return open.length === 0 ? 0 : Math.min(...open);
  }

  #count(): void {
    if (this.#underWay === 0) {
      const others = this.#unclear.splice(0).filter(({ transactionId }) => !this.#ownTransactions.has(transactionId));
      this.#ofOthers += others.reduce((sum, { accepted }) => sum + accepted, 0);
    }
  }

  async #record(envelopes: readonly Envelope[]): Promise<readonly ItemResult[]> {
    this.#underWay++;
    try {
      return await this.#recordUntilDecided(envelopes);
    } finally {
      this.#underWay--;
      this.#count();
    }
  }

  /** Tries until the ledger has decided: while it is down, batches wait. */
  async #recordUntilDecided(envelopes: readonly Envelope[]): Promise<readonly ItemResult[]> {
    const { learning, metrics, log } = this.#options;
    for (let failures = 0; ; failures++) {
      try {
        const { place } = this;
        const { result, transactionId } = await metrics.batch(envelopes.length, () =>
          learning.recordUpdates({ ...place, envelopes }, { signal: this.#givingUp.signal }),
        );
        this.#ownTransactions.add(transactionId);
        return result.results;
      } catch (error) {
        if (faultKind(error) !== 'transient') {
          throw error;
        }
        log.warn({ ...this.place, envelopes: envelopes.length, ...failureFields(error) }, 'a batch waits');
        await pause(backoffMs(failures, 100, 2_000), this.#ending.signal);
        if (this.#endedWith !== undefined) {
          throw this.#endedWith;
        }
      }
    }
  }
}

/** The contract takes one update of a vehicle; a second one is not worth a transaction. */
function duplicate(vehicleId: string): Taken {
  const detail = 'another envelope of this vehicle for the same attempt came before';
  const result: ItemResult = { id: vehicleId, accepted: false, code: 'UPDATE_DUPLICATE', detail };
  return { kept: Promise.resolve(), result: Promise.resolve(result) };
}
