// SPDX-License-Identifier: Apache-2.0

/** Tells waiting calls about commits. */
export class CommitNotifier {
  readonly #byTransaction = new Map<string, Set<() => void>>();
  readonly #byHeight = new Set<() => void>();

  /** Wakes whoever waits for the next block or for one of these transactions. */
  notify(transactionIds: readonly string[]): void {
    for (const wake of this.#byHeight) {
      wake();
    }
    for (const id of transactionIds) {
      for (const wake of this.#byTransaction.get(id) ?? []) {
        wake();
      }
    }
  }

  /** Wakes everybody. */
  notifyAll(): void {
    this.notify([...this.#byTransaction.keys()]);
  }

  /** Resolves at the next commit, or when the signal aborts. */
  nextBlock(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#wait(this.#byHeight, resolve, signal);
    });
  }

  /** Resolves when the transaction commits, or when the signal aborts. */
  transaction(id: string, signal: AbortSignal): Promise<void> {
    const waiting = this.#byTransaction.get(id) ?? new Set();
    this.#byTransaction.set(id, waiting);
    return new Promise((resolve) => {
      this.#wait(waiting, resolve, signal, () => {
        if (waiting.size === 0 && this.#byTransaction.get(id) === waiting) {
          this.#byTransaction.delete(id);
        }
      });
    });
  }

  #wait(waiting: Set<() => void>, resolve: () => void, signal: AbortSignal, afterwards?: () => void): void {
    const wake = (): void => {
      waiting.delete(wake);
      signal.removeEventListener('abort', wake);
      afterwards?.();
      resolve();
    };
    waiting.add(wake);
    if (signal.aborted) {
      wake();
    } else {
      signal.addEventListener('abort', wake);
    }
  }
}
