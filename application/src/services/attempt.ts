// SPDX-License-Identifier: Apache-2.0
import type { AttemptRef } from '../ledger/contracts.js';

export type { AttemptRef };

/** Names an attempt in maps and logs. */
export function attemptKey(ref: AttemptRef): string {
  return `${ref.taskId}/${String(ref.round)}/${String(ref.attempt)}`;
}

/** Only the reference out of a larger record. */
export function attemptOf(ref: AttemptRef): AttemptRef {
  return { taskId: ref.taskId, round: ref.round, attempt: ref.attempt };
}

/** True where `a` is a later round, or a later attempt at the same one. */
export function isLater(a: AttemptRef, b: AttemptRef): boolean {
  return a.round > b.round || (a.round === b.round && a.attempt > b.attempt);
}
