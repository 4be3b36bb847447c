// SPDX-License-Identifier: Apache-2.0

/**
 * Makes a task cheap to ask for: while it runs, all further requests share one run that begins after it. Every caller's
 * promise resolves after a run that began after its call, so the run has seen what the caller did before.
 */
export function coalesced(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  const start = (): Promise<void> => {
    running = task().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (next !== undefined) {
      return next;
    }
    if (running === undefined) {
      return start();
    }
    next = running
      // A failed run is its own callers' error; the next one starts all the same.
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return start();
      });
    return next;
  };
}
