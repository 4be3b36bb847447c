// SPDX-License-Identifier: Apache-2.0
import { attemptKey, type AttemptRef } from '../services/attempt.js';

/** Which attempts still take vehicles' reports in, and what of that is under way: holdings are signed when neither goes on. */
export class TakingIn {
  /** Attempts whose holdings are signed or being signed. */
  readonly #closed = new Set<string>();
  readonly #underWay = new Map<string, Set<Promise<unknown>>>();

  isClosed(ref: AttemptRef): boolean {
    return this.#closed.has(attemptKey(ref));
  }

  /** Takes nothing new of the attempt from now on; resolves when what is under way is on disk or refused. */
  async close(ref: AttemptRef): Promise<void> {
    const key = attemptKey(ref);
    this.#closed.add(key);
    await Promise.allSettled([...(this.#underWay.get(key) ?? [])]);
  }

  /** Takes reports again, where nothing was signed after all. */
  reopen(ref: AttemptRef): void {
    this.#closed.delete(attemptKey(ref));
  }

  /** Does work that {@link close} waits for. */
  async tracked<T>(ref: AttemptRef, work: () => Promise<T>): Promise<T> {
    const key = attemptKey(ref);
    const all = this.#underWay.get(key) ?? new Set<Promise<unknown>>();
    this.#underWay.set(key, all);
    const running = work();
    all.add(running);
    try {
      return await running;
    } finally {
      all.delete(running);
      if (all.size === 0) {
        this.#underWay.delete(key);
      }
    }
  }
}
