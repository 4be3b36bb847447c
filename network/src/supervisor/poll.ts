// SPDX-License-Identifier: Apache-2.0
import { setTimeout as pause } from 'node:timers/promises';

const INTERVAL_MS = 40;

/** Asks until there is an answer; `undefined` when there was none by the deadline. Asks at least once. */
export async function poll<T>(
  question: () => T | undefined | Promise<T | undefined>,
  deadlineMs: number,
): Promise<T | undefined> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await question();
    if (answer !== undefined || Date.now() >= end) {
      return answer;
    }
    await pause(INTERVAL_MS);
  }
}
