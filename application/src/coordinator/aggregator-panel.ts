// SPDX-License-Identifier: Apache-2.0
import type { RoundOpening } from '@sev/chaincode/api';
import type { AggregatorClient } from '../aggregator/aggregator-client.js';
import { SevError } from '../errors.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { backoffMs, pause, WakeUp } from '../services/wake-up.js';

/** How long aggregators are waited for, in milliseconds on the coordinator's own clock. */
export interface Patience {
  /** For answers without which a step cannot be taken. */
  readonly answerMs: number;
  /** For the others, once there are enough; as long as those took is added. */
  readonly stragglerMs: number;
  /** The same for those that were not in time before; half as long as the others took is added. */
  readonly slowMs: number;
  /** For an aggregator whose own gateway does not show yet what this coordinator's does. */
  readonly lagMs: number;
}

export const PATIENCE: Patience = { answerMs: 60_000, stragglerMs: 5_000, slowMs: 500, lagMs: 3_000 };

/** What one aggregator answered. */
export interface Answered<T> {
  readonly mspId: string;
  readonly value: T;
}

/** Why an aggregator is left out. */
export interface LeftOut {
  readonly mspId: string;
  readonly error: unknown;
}

export interface Gathered<T> {
  /** In the order of the panel. */
  readonly answers: readonly Answered<T>[];
  readonly leftOut: readonly LeftOut[];
}

type Question<T, C> = (client: C) => Promise<T>;
/** Throws where an answer is not to be used. */
type Check<T> = (answer: T, mspId: string) => void;

/** Codes that a moment mends, where the aggregator's gateway is a block or two behind, or it is busy. */
const LAGGING: ReadonlySet<string> = new Set([
  'ROUND_STATE',
  'ROUND_STALE',
  'ROUND_OUT_OF_ORDER',
  'TASK_UNKNOWN',
  'DISPUTE_UNKNOWN',
  'SERVICE_BUSY',
  'REFERENCES_INCOMPLETE',
]);

/** Somebody who is asked. */
interface Named {
  readonly mspId: string;
}

/**
 * Asks aggregators, or others, side by side. One that fails, answers what it should not, lags for too long or does not answer is
 * logged and left out of the step; who was late once is asked again, and hardly waited for until it is in time.
 */
export class AggregatorPanel<C extends Named = AggregatorClient> {
  readonly clients: readonly C[];
  readonly #log: ServiceLog;
  readonly #patience: Patience;
  readonly #slow: Set<string>;

  constructor(clients: readonly C[], log: ServiceLog, patience: Patience = PATIENCE, slow = new Set<string>()) {
    this.clients = clients;
    this.#log = log;
    this.#patience = patience;
    this.#slow = slow;
  }

  /** Those of an opening. */
  of({ aggregators }: Pick<RoundOpening, 'aggregators'>): AggregatorPanel<C> {
    return this.only(aggregators.map(({ mspId }) => mspId));
  }

  /** Those of these organisations. It remembers together with this panel who was late. */
  only(mspIds: readonly string[]): AggregatorPanel<C> {
    const clients = this.clients.filter(({ mspId }) => mspIds.includes(mspId));
    return new AggregatorPanel(clients, this.#log, this.#patience, this.#slow);
  }

  /**
   * The answers of all that answer rightly and in time.
   *
   * @param needed answers without which the step cannot be taken.
   * @throws SevError AGGREGATORS_MISSING.
   */
  async ask<T>(what: string, needed: number, question: Question<T, C>, check?: Check<T>): Promise<T[]> {
    const { answers, leftOut } = await this.gather(what, needed, question, check);
    if (answers.length < needed) {
      throw aggregatorsMissing(what, needed, leftOut);
    }
    return answers.map(({ value }) => value);
  }

  /** As `ask`, with the names of who answered, and why the others are left out. */
  async gather<T>(what: string, needed: number, question: Question<T, C>, check?: Check<T>): Promise<Gathered<T>> {
    const step = new Step<T>(this.clients, needed, this.#patience, this.#slow);
    for (const client of this.clients) {
      void this.#answerOf(client, step, question, check);
    }
    await step.end();
    const gathered = step.gathered(what);
    for (const { mspId, error } of gathered.leftOut) {
      this.#log.warn({ organisation: mspId, ...failureFields(error) }, `${what}: ${mspId} is left out`);
    }
    return gathered;
  }

  async #answerOf<T>(client: C, step: Step<T>, question: Question<T, C>, check?: Check<T>): Promise<void> {
    for (let tries = 0; !step.isOver; tries++) {
      try {
        const value = await question(client);
        check?.(value, client.mspId);
        step.take(client.mspId, { value });
        return;
      } catch (error) {
        if (!LAGGING.has(errorCode(error) ?? '') || step.ageMs >= this.#patience.lagMs) {
          step.take(client.mspId, { error });
          return;
        }
        await pause(backoffMs(tries, 20, 250));
      }
    }
  }
}

/** @param needed how many answers. */
export function aggregatorsMissing(what: string, needed: number, leftOut: readonly LeftOut[]): SevError {
  const reasons = leftOut.map(({ mspId, error }) => `${mspId} ${errorCode(error) ?? 'FAILED'}`).join(', ');
  return new SevError('AGGREGATORS_MISSING', `${what}: ${String(needed)} are needed; left out: ${reasons || 'none'}`);
}

type Result<T> = { readonly value: T } | { readonly error: unknown };

/** One question to several aggregators, until enough have answered and the others had their time. */
class Step<T> {
  readonly #clients: readonly Named[];
  readonly #needed: number;
  readonly #patience: Patience;
  readonly #slow: Set<string>;
  readonly #startedAt = performance.now();
  readonly #results = new Map<string, Result<T>>();
  readonly #wakeUp = new WakeUp();
  #enoughAfterMs: number | undefined;
  #isOver = false;

  constructor(clients: readonly Named[], needed: number, patience: Patience, slow: Set<string>) {
    this.#clients = clients;
    this.#needed = needed;
    this.#patience = patience;
    this.#slow = slow;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get ageMs(): number {
    return performance.now() - this.#startedAt;
  }

  take(mspId: string, result: Result<T>): void {
    if (this.#isOver) {
      return;
    }
    this.#results.set(mspId, result);
    if (this.#answers().length >= this.#needed) {
      this.#enoughAfterMs ??= this.ageMs;
    }
    this.#wakeUp.notify();
  }

  async end(): Promise<void> {
    for (let leftMs = this.#leftMs(); leftMs > 0; leftMs = this.#leftMs()) {
      await this.#wakeUp.wait(leftMs);
    }
    this.#isOver = true;
    for (const { mspId } of this.#clients) {
      const isInTime = this.#results.has(mspId) && !isLagging(this.#results.get(mspId));
      if (isInTime) {
        this.#slow.delete(mspId);
      } else {
        this.#slow.add(mspId);
      }
    }
  }

  gathered(what: string): Gathered<T> {
    const leftOut = this.#clients.flatMap(({ mspId }): LeftOut[] => {
      const result = this.#results.get(mspId);
      if (result === undefined) {
        const detail = `${what}: no answer within ${String(Math.round(this.ageMs))} ms`;
        return [{ mspId, error: new SevError('SERVICE_TIMEOUT', detail) }];
      }
      return 'error' in result ? [{ mspId, error: result.error }] : [];
    });
    return { answers: this.#answers(), leftOut };
  }

  #answers(): Answered<T>[] {
    return this.#clients.flatMap(({ mspId }) => {
      const result = this.#results.get(mspId);
      return result !== undefined && 'value' in result ? [{ mspId, value: result.value }] : [];
    });
  }

  /** How much longer is waited. */
  #leftMs(): number {
    const waitedFor = this.#clients.filter(({ mspId }) => !this.#results.has(mspId));
    if (waitedFor.length === 0) {
      return 0;
    }
    const { answerMs, stragglerMs, slowMs } = this.#patience;
    const tookMs = this.#enoughAfterMs;
    if (tookMs === undefined) {
      return answerMs - this.ageMs;
    }
    const isWorthIt = waitedFor.some(({ mspId }) => !this.#slow.has(mspId));
    const untilMs = isWorthIt ? 2 * tookMs + stragglerMs : 1.5 * tookMs + slowMs;
    return Math.min(untilMs, answerMs) - this.ageMs;
  }
}

function isLagging<T>(result: Result<T> | undefined): boolean {
  return result !== undefined && 'error' in result && LAGGING.has(errorCode(result.error) ?? '');
}
