// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord } from '@sev/chaincode/api';
import { attemptKey, type AttemptRef } from './attempt.js';

/** What is remembered, the oldest forgotten first: its wait begins anew. */
const REMEMBERED = 10_000;

/**
 * Since when an attester has seen rounds in their states, and their disputes, on its own clock. Times on the ledger are chosen
 * by whoever submits a transaction, within a margin; how long somebody had to answer does not follow from them.
 */
export class FirstSeen {
  readonly #nowMs: () => number;
  readonly #since = new Map<string, number>();

  /** @param nowMs - a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** How long the attempt has been seen in this state; from now on where it was not before. */
  inStateMs(ref: AttemptRef, state: RoundRecord['state']): number {
    return this.#ageMs(`${attemptKey(ref)} ${state}`);
  }

  /** How long the dispute that was seen last has been; undefined where the round has none. */
  disputedMs(round: RoundRecord): number | undefined {
    const ages = (round.secure?.disputes ?? []).map(({ component, phase }) =>
      this.#ageMs(`${attemptKey(round)} ${phase} ${String(component)}`),
    );
    return ages.length === 0 ? undefined : Math.min(...ages);
  }

  /** Takes note of a round as the ledger shows it. */
  see(round: RoundRecord): void {
    this.inStateMs(round, round.state);
    this.disputedMs(round);
  }

  #ageMs(key: string): number {
    const nowMs = this.#nowMs();
    const since = this.#since.get(key) ?? nowMs;
    this.#since.set(key, since);
    const [oldest] = this.#since.keys();
    if (this.#since.size > REMEMBERED && oldest !== undefined) {
      this.#since.delete(oldest);
    }
    return nowMs - since;
  }
}
