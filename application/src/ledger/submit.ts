// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { SevError } from '../errors.js';
import { LedgerError } from './errors.js';
import { failureOf, outcomeOfStatus, statusName, type Failure } from './outcome.js';
import { decide, type Progress, type RetryPolicy, type Step } from './retry.js';

/** A transaction's place on the ledger. */
export interface CommitStatus {
  /** Validation code (`peer.TxValidationCode`). */
  readonly code: number;
  readonly blockNumber: bigint;
}

/** An endorsed and signed transaction, kept until its fate is known. */
export interface SignedTransaction {
  readonly transactionId: string;
  readonly result: Uint8Array;
  /** Sends the same signed bytes however often it is called. */
  submit(): Promise<void>;
  /** Waits for the transaction's commit, by its id. */
  status(timeoutMs: number): Promise<CommitStatus>;
}

export interface Timeouts {
  readonly evaluateMs: number;
  readonly endorseMs: number;
  readonly submitMs: number;
  /** Wait for the commit of a transaction that the orderer took. */
  readonly commitStatusMs: number;
  /** Wait for the commit of a transaction that perhaps never reached the orderer. */
  readonly probeMs: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  evaluateMs: 15_000,
  endorseMs: 30_000,
  submitMs: 10_000,
  // Longer than the ordering service needs to replace a leader that died.
  commitStatusMs: 12_000,
  probeMs: 3_000,
};

export interface CallOptions {
  readonly policy: RetryPolicy;
  readonly timeouts: Timeouts;
  readonly signal?: AbortSignal | undefined;
}

/** Counts what went wrong and asks the policy what comes next. */
class Course {
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal | undefined;
  #conflicts = 0;
  #failures = 0;
  #troubledSince: number | undefined;

  constructor(options: CallOptions) {
    this.#policy = options.policy;
    this.#signal = options.signal;
  }

  /** Number of the transaction under way: each conflict makes a new one. */
  get attempts(): number {
    return this.#conflicts + 1;
  }

  calm(): void {
    this.#failures = 0;
    this.#troubledSince = undefined;
  }

  /** @throws SevError INTERRUPTED before anything was sent, LedgerError LEDGER_FATE_UNKNOWN afterwards. */
  assertGoingOn(transactionId?: string): void {
    if (this.#signal?.aborted === true) {
      throw transactionId === undefined
        ? new SevError('INTERRUPTED', 'Interrupted before the transaction was sent')
        : new LedgerError('LEDGER_FATE_UNKNOWN', 'interrupted while waiting for the commit', { transactionId });
    }
  }

  /** Decides after a failure, pauses, and returns the next step. @throws LedgerError where there is none. */
  async next(step: Step, failure: Failure, sentTransactionId?: string, transactionId?: string): Promise<Step> {
    const now = Date.now();
    if (failure.outcome === 'conflict') {
      this.#conflicts += 1;
    } else {
      this.#failures += 1;
      this.#troubledSince ??= now;
    }
    const progress: Progress = {
      conflicts: this.#conflicts,
      failures: this.#failures,
      troubledMs: now - (this.#troubledSince ?? now),
      sent: sentTransactionId !== undefined,
    };
    const decision = decide(step, failure.outcome, progress, this.#policy);
    if (decision.then === 'fail') {
      const code = decision.code === 'CONTRACT' ? (failure.contractCode ?? 'LEDGER_FAILED') : decision.code;
      throw new LedgerError(code, failure.detail, { transactionId, cause: failure.cause });
    }
    await pause(decision.delayMs, this.#signal);
    return decision.then;
  }
}

/** Pauses, or less when the signal fires; whoever waits looks at the signal next. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms > 0 && signal?.aborted !== true) {
    await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

/**
 * Endorses, sends and waits, as often as {@link decide} says.
 *
 * @param endorse makes a new transaction, endorsed and ready to be signed.
 */
export async function submitTransaction(
  endorse: () => Promise<SignedTransaction>,
  options: CallOptions,
): Promise<{ transaction: SignedTransaction; blockNumber: bigint; attempts: number }> {
  const course = new Course(options);
  for (;;) {
    const transaction = await endorseOne(endorse, course);
    const blockNumber = await commitOne(transaction, course, options.timeouts);
    if (blockNumber !== undefined) {
      return { transaction, blockNumber, attempts: course.attempts };
    }
  }
}

async function endorseOne(endorse: () => Promise<SignedTransaction>, course: Course): Promise<SignedTransaction> {
  for (;;) {
    course.assertGoingOn();
    try {
      const transaction = await endorse();
      course.calm();
      return transaction;
    } catch (error) {
      await course.next('endorse', failureOf(error));
    }
  }
}

/** @returns the block that holds the valid transaction, or undefined where it must be endorsed anew. */
async function commitOne(
  transaction: SignedTransaction,
  course: Course,
  timeouts: Timeouts,
): Promise<bigint | undefined> {
  const { transactionId } = transaction;
  let sent = false;
  let acknowledged = false;
  let step: Step = 'submit';
  while (step !== 'endorse') {
    course.assertGoingOn(sent ? transactionId : undefined);
    let failure: Failure;
    if (step === 'submit') {
      const problem = await failureIn(() => transaction.submit());
      if (problem === undefined) {
        sent = true;
        acknowledged = true;
        step = 'status';
        continue;
      }
      // No answer is not a refusal: the orderer may have it.
      sent ||= ['unavailable', 'timeout', 'ordered'].includes(problem.outcome);
      acknowledged = problem.outcome === 'ordered';
      failure = problem;
    } else {
      try {
        const status = await transaction.status(acknowledged ? timeouts.commitStatusMs : timeouts.probeMs);
        const outcome = outcomeOfStatus(status.code);
        if (outcome === undefined) {
          return status.blockNumber;
        }
        failure = { outcome, detail: `validation code ${statusName(status.code)}`, cause: undefined };
      } catch (error) {
        failure = failureOf(error);
      }
    }
    acknowledged &&= failure.outcome === 'duplicate' || failure.outcome === 'ordered';
    step = await course.next(step, failure, sent ? transactionId : undefined, transactionId);
  }
  return undefined;
}

async function failureIn(action: () => Promise<void>): Promise<Failure | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return failureOf(error);
  }
}

/** Evaluates, and again while the network cannot be reached. */
export async function evaluateTransaction(
  evaluate: () => Promise<Uint8Array>,
  options: CallOptions,
): Promise<Uint8Array> {
  const course = new Course(options);
  for (;;) {
    course.assertGoingOn();
    try {
      return await evaluate();
    } catch (error) {
      await course.next('evaluate', failureOf(error));
    }
  }
}
