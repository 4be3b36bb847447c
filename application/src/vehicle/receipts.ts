// SPDX-License-Identifier: Apache-2.0
import type { ShowReceipts } from '@sev/chaincode/api';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { roundIfAny, type LearningContract } from '../services/rounds.js';
import { pause } from '../services/wake-up.js';

type Receipt = ShowReceipts['receipts'][number];

/** Receipts in one transaction. */
const AT_ONCE = 100;
/**
 * How long a closed round may wait for its cohort before its vehicles show what they were given: a third of the time that
 * attesters give to receipts. A busy machine needs more than half a second for a hundred vehicles, and showing receipts
 * that nobody needs costs the round a commit.
 */
const PATIENCE_MS = 1_000;
const REMEMBERED_ATTEMPTS = 100;

/**
 * The receipts that aggregators gave to this pool's vehicles. A cohort is fixed at once where nobody is left out; one
 * that takes longer may be about to leave somebody out, and then the receipts go to the ledger, which puts their
 * vehicles in.
 */
export class ReceiptBook {
  readonly #learning: LearningContract;
  readonly #log: ServiceLog;
  readonly #receipts = new Map<string, Receipt[]>();

  constructor(learning: LearningContract, log: ServiceLog) {
    this.#learning = learning;
    this.#log = log;
  }

  add(ref: AttemptRef, receipt: Receipt): void {
    const key = attemptKey(ref);
    this.#receipts.set(key, [...(this.#receipts.get(key) ?? []), receipt]);
    const [oldest] = this.#receipts.keys();
    if (this.#receipts.size > REMEMBERED_ATTEMPTS && oldest !== undefined) {
      this.#receipts.delete(oldest);
    }
  }

  /** Called when an attempt was closed. */
  async watch(ref: AttemptRef, signal: AbortSignal): Promise<void> {
    const receipts = this.#receipts.get(attemptKey(ref)) ?? [];
    if (receipts.length === 0) {
      return;
    }
    await pause(PATIENCE_MS, signal);
    try {
      const round = signal.aborted ? undefined : await roundIfAny(this.#learning, ref);
      if (round?.attempt !== ref.attempt || round.state !== 'closed') {
        return;
      }
      for (let from = 0; from < receipts.length; from += AT_ONCE) {
        await this.#learning.showReceipts({ ...attemptOf(ref), receipts: receipts.slice(from, from + AT_ONCE) });
      }
      this.#log.info({ ...attemptOf(ref), receipts: receipts.length }, 'showed receipts');
    } catch (error) {
      this.#log.warn({ ...attemptOf(ref), ...failureFields(error) }, 'receipts could not be shown');
    }
  }
}
