// SPDX-License-Identifier: Apache-2.0

/** The step of a call that has an outcome. */
export type Step = 'evaluate' | 'endorse' | 'submit' | 'status';

/** What became of a step that did not succeed. */
export type Outcome =
  /** A contract refused. */
  | 'contract-error'
  /** No connection, or a gateway without a peer or orderer that answers. */
  | 'unavailable'
  | 'timeout'
  /** The identity is not accepted. */
  | 'refused'
  /** The gateway or peer answered that it failed. */
  | 'failed'
  /** Peers answered differently, or the transaction was invalidated by an MVCC or phantom conflict. */
  | 'conflict'
  /** The orderers have the transaction already: its commit will tell the rest. */
  | 'ordered'
  /** The block holds this transaction id a second time: the status is that of the copy. */
  | 'duplicate'
  /** Any other validation code. */
  | 'invalid';

export interface RetryPolicy {
  /** Endorsements of one call before a conflict is given up. */
  readonly maxAttempts: number;
  /** How long to go on in the face of an unreachable or silent network. */
  readonly reconnectMs: number;
  /** First pause; each further one is twice as long, and random between half of it and all of it. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 8,
  reconnectMs: 60_000,
  backoffMs: 20,
  maxBackoffMs: 1_000,
};

export interface Progress {
  /** Endorsements that ended in a conflict, this one included. */
  readonly conflicts: number;
  /** Steps in a row that ended without an answer, this one included. */
  readonly failures: number;
  /** Time since the first of these; 0 at the first. */
  readonly troubledMs: number;
  /** True once the transaction may have reached the orderer: from then on its fate is asked for, never guessed. */
  readonly sent: boolean;
}

export type Decision =
  /** `endorse` makes a new transaction; `submit` sends the same signed one again, which the ledger takes once. */
  | { readonly then: Step; readonly delayMs: number }
  | {
      readonly then: 'fail';
      readonly code:
        | 'CONTRACT'
        | 'LEDGER_UNREACHABLE'
        | 'LEDGER_TIMEOUT'
        | 'LEDGER_CONFLICT'
        | 'LEDGER_REFUSED'
        | 'LEDGER_FAILED'
        | 'LEDGER_FATE_UNKNOWN'
        | 'LEDGER_COMMIT_FAILED';
    };

/**
 * The one retry policy of all ledger calls.
 *
 * - A contract's error is an answer and is never asked for twice.
 * - Before a transaction was sent, an unreachable network costs nothing but time: repeat.
 * - After it was sent, ask for its status by id. Only if the network answers and has not heard of it in time, send the
 *   same signed transaction again: its id makes sure that it is committed once.
 * - A conflict needs a new simulation, hence a new transaction.
 *
 * @param random in [0, 1)
 */
export function decide(
  step: Step,
  outcome: Outcome,
  progress: Progress,
  policy: RetryPolicy,
  random: () => number = Math.random,
): Decision {
  switch (outcome) {
    case 'contract-error':
      return { then: 'fail', code: 'CONTRACT' };
    case 'conflict':
      return progress.conflicts < policy.maxAttempts
        ? { then: 'endorse', delayMs: backoff(progress.conflicts, policy, random) }
        : { then: 'fail', code: 'LEDGER_CONFLICT' };
    case 'invalid':
      return { then: 'fail', code: 'LEDGER_COMMIT_FAILED' };
    case 'unavailable':
    case 'timeout':
    case 'duplicate':
    case 'ordered':
      return again(step, outcome, progress, policy, random);
    case 'refused':
    case 'failed':
      if (progress.sent) {
        return again(step, outcome, progress, policy, random);
      }
      return { then: 'fail', code: outcome === 'refused' ? 'LEDGER_REFUSED' : 'LEDGER_FAILED' };
  }
}

function again(step: Step, outcome: Outcome, progress: Progress, policy: RetryPolicy, random: () => number): Decision {
  if (progress.troubledMs >= policy.reconnectMs) {
    if (progress.sent) {
      return { then: 'fail', code: 'LEDGER_FATE_UNKNOWN' };
    }
    return { then: 'fail', code: outcome === 'timeout' ? 'LEDGER_TIMEOUT' : 'LEDGER_UNREACHABLE' };
  }
  const delayMs = backoff(progress.failures, policy, random);
  if (step === 'submit') {
    return { then: 'status', delayMs };
  }
  if (step === 'status' && outcome === 'timeout') {
    return { then: 'submit', delayMs: 0 };
  }
  return { then: step, delayMs };
}

/** Pause before the n-th repetition, n from 1. */
function backoff(n: number, policy: RetryPolicy, random: () => number): number {
  const full = Math.min(policy.backoffMs * 2 ** (n - 1), policy.maxBackoffMs);
  return Math.round(full * (0.5 + 0.5 * random()));
}
