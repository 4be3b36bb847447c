// SPDX-License-Identifier: Apache-2.0
import type { LedgerEventEnvelope } from '../ledger/session.js';

/** The events of a ledger in this process, and whoever waits for the next one. */
export class EventLog {
  readonly events: LedgerEventEnvelope[] = [];
  readonly #listeners = new Set<() => void>();

  emit(envelope: LedgerEventEnvelope): void {
    this.events.push(envelope);
    this.#listeners.forEach((wake) => {
      wake();
    });
  }

  /** What is emitted from now on, until the signal is aborted. */
  async *follow(signal: AbortSignal | undefined): AsyncGenerator<LedgerEventEnvelope, void, undefined> {
    let next = this.events.length;
    while (signal?.aborted !== true) {
      const event = this.events[next];
      if (event !== undefined) {
        next++;
        yield event;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#listeners.delete(wake);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        this.#listeners.add(wake);
        signal?.addEventListener('abort', wake);
      });
    }
  }
}
