// SPDX-License-Identifier: Apache-2.0
import type { AbortReason, RoundRecord, Task, UpdateRecord } from '@sev/chaincode/api';
import type { AbortEvidence } from '../services/abort-evidence.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import type { FetchObject, RoundOutcome } from '../services/round-outcome.js';
import { barredWithout } from '../services/rounds.js';
import type { RoundClock } from './round-clock.js';

export interface CurrentAttemptOptions {
  readonly task: Task;
  readonly record: RoundRecord;
  readonly fetch: FetchObject;
  readonly clock: RoundClock;
  readonly seenAtMs: number;
}

/** Attesters said that it is too early for this transition; asking again before `untilMs` is of no use. */
export interface TooEarly {
  readonly action: 'close' | 'fix-cohort' | 'score' | 'abort';
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
  stepFailures = 0;
  hopeless: AbortReason | undefined;
  tooEarly: TooEarly | undefined;
  /** By which attesters find true at once why the attempt is hopeless. */
  evidence: AbortEvidence | undefined;
  /** Components that the contract does not release to be audited. */
  readonly notAudited = new Set<number>();
  /** Vehicles whose updates the ledger refuses; undefined until they are looked up. */
  barred: ReadonlyMap<string, unknown> | undefined;
  /** It was logged that the round waits for more vehicles. */
  hasToldOfWaiting = false;
  readonly #options: CurrentAttemptOptions;
  readonly #objects = new Map<string, Promise<Uint8Array>>();
  readonly #recorded = new Set<string>();

  constructor(options: CurrentAttemptOptions) {
    this.#options = options;
    this.record = options.record;
    this.ref = attemptOf(options.record);
    this.clock = options.clock;
    this.seenAtMs = options.seenAtMs;
  }

  /** Vehicles whose update is known to be on the ledger. */
  get recorded(): number {
    return this.#recorded.size;
  }

  /** Vehicles whose update the ledger refuses, and has not recorded before. */
  get barredNow(): number {
    return barredWithout(this.barred, this.#recorded);
  }

  /** Takes over what the ledger lists. New updates are fetched from the store, so that the aggregation finds them here. */
  seeRecorded(updates: readonly UpdateRecord[]): void {
    for (const update of updates.filter(({ vehicleId }) => !this.#recorded.has(vehicleId))) {
      this.#recorded.add(update.vehicleId);
      this.clock.saw(update);
      if (this.#options.task.privacy === 'plain') {
        this.fetch(update.updateHash).catch(() => undefined);
      }
    }
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

  /** Takes over what the ledger shows; what stood in the way of the state before, or of a dispute, is over with it. */
  see(record: RoundRecord): void {
    if (progressOf(record) !== progressOf(this.record)) {
      this.forgetFailures();
      this.hopeless = undefined;
      this.tooEarly = undefined;
      this.evidence = undefined;
    }
    this.record = record;
  }

  /** What failed so far does not stand in the way any more. */
  forgetFailures(): void {
    this.stepFailed = undefined;
    this.stepFailures = 0;
  }

  /** Forgets the outcome and what it was computed from, so that both are read and computed again. */
  reconsider(): void {
    this.outcome = undefined;
    this.#objects.clear();
  }

  /** What has another length than the model is excluded whatever it holds, so its bytes are not kept. */
  async #readBounded(hash: string): Promise<Uint8Array> {
    const bytes = await this.#options.fetch(hash);
    return bytes.length === 4 * this.#options.task.model.parameters ? bytes : new Uint8Array(0);
  }
}

/** How far a round is: its state, and the disputes and verdicts in it. */
function progressOf({ state, secure }: RoundRecord): string {
  const disputes = secure?.disputes ?? [];
  const settled = disputes.filter(({ faulty }) => faulty !== undefined);
  return `${state} ${String(disputes.length)} ${String(settled.length)}`;
}
