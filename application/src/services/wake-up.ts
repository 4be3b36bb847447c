// SPDX-License-Identifier: Apache-2.0

/**
 * Lets a loop sleep until something happens or a time is reached, whichever is first.
 * A call to `notify` while nobody waits is remembered, so no event falls between looking and waiting.
 */
export class WakeUp {
  #pending = false;
  #wake: (() => void) | undefined;

  notify(): void {
    this.#pending = true;
    this.#wake?.();
  }

  /** Waits at most `timeoutMs`; returns at once if something was notified since the last wait. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#pending) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, timeoutMs));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#pending = false;
  }
}

/** Resolves after `ms`, or at once when the signal is aborted. Never rejects: callers look at the signal. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}

/** Exponential backoff with full jitter: between half and the whole of min(cap, base · 2^attempt) milliseconds. */
export function backoffMs(attempt: number, baseMs: number, capMs: number): number {
  const limit = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 20));
  return limit / 2 + Math.random() * (limit / 2);
}
