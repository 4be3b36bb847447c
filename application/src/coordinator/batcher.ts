// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, type Envelope, type ItemResult } from '@sev/chaincode/api';
import { SevError } from '../errors.js';

export interface BatcherOptions {
  /** Commits one batch and returns one result an envelope, in order. */
  readonly record: (envelopes: readonly Envelope[]) => Promise<readonly ItemResult[]>;
  /** Told of a batch's results as its envelopes stop waiting, so that none is ever counted as both. */
  readonly onRecorded: (results: readonly ItemResult[]) => void;
  /** How many updates the ledger still lacks for a full cohort. */
  readonly missing: () => number;
  /** Envelopes in one transaction, at the most. */
  readonly maxBatch: number;
  /** How long a batch waits for one more envelope. */
  readonly lingerMs: number;
  /** How long the first envelope of a batch is held, however many follow. */
  readonly maxHoldMs: number;
  /** Envelopes waiting, at the most; more are refused with SERVICE_BUSY. */
  readonly maxWaiting: number;
}

interface Waiting {
  readonly envelope: Envelope;
  readonly content: string;
  readonly result: Promise<ItemResult>;
  readonly resolve: (result: ItemResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects the envelopes of one attempt into batches. A batch goes out when it is full, when it completes the cohort,
 * or when nothing more comes: while envelopes keep coming it is held, because fewer transactions cost everybody less.
 */
export class EnvelopeBatcher {
  readonly #options: BatcherOptions;
  /** Everything not yet answered, by content: held back for a batch, or on its way to the ledger. */
  readonly #waiting = new Map<string, Waiting>();
  #held: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #heldSince = 0;
  #closedWith: Error | undefined;

  constructor(options: BatcherOptions) {
    this.#options = options;
  }

  /** Envelopes that have no result yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Adds an envelope; resolves with its result once its batch is committed, rejects with the batch's error.
   * The same envelope sent again while it waits shares the result, so an impatient sender costs no second record.
   *
   * @throws SevError SERVICE_BUSY when too many wait.
   */
  async add(envelope: Envelope): Promise<ItemResult> {
    if (this.#closedWith !== undefined) {
      throw this.#closedWith;
    }
    const content = canonicalJson(envelope);
    const same = this.#waiting.get(content);
    if (same !== undefined) {
      return same.result;
    }
    if (this.waiting >= this.#options.maxWaiting) {
      throw new SevError('SERVICE_BUSY', `${String(this.waiting)} envelopes are waiting`, {
        hint: 'Send the envelope again.',
      });
    }
    const added = newWaiting(envelope, content);
    this.#waiting.set(content, added);
    this.#held.push(added);
    if (this.#held.length >= this.#options.maxBatch || this.#completesCohort()) {
      this.#flush();
    } else {
      this.#linger();
    }
    return added.result;
  }

  /** Refuses what is held and everything that follows; batches on their way to the ledger still end. */
  close(error: Error): void {
    this.#closedWith = error;
    clearTimeout(this.#timer);
    for (const held of this.#held.splice(0)) {
      this.#waiting.delete(held.content);
      held.reject(error);
    }
  }

  #completesCohort(): boolean {
    const missing = this.#options.missing();
    return missing > 0 && this.#waiting.size >= missing;
  }

  #linger(): void {
    const { lingerMs, maxHoldMs } = this.#options;
    if (this.#timer === undefined) {
      this.#heldSince = performance.now();
    }
    clearTimeout(this.#timer);
    const left = this.#heldSince + maxHoldMs - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#flush();
      },
      Math.min(lingerMs, Math.max(0, left)),
    );
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#held.length > 0) {
      void this.#record(this.#held.splice(0, this.#options.maxBatch));
    }
  }

  async #record(batch: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#options.record(batch.map((item) => item.envelope));
      batch.forEach((item) => this.#waiting.delete(item.content));
      this.#options.onRecorded(results);
      this.#settle(batch, (item, index) => {
        const result = results[index];
        if (result?.id !== item.envelope.vehicleId) {
          throw new SevError('RESULT_MISSING', `the ledger returned no result for ${item.envelope.vehicleId}`);
        }
        return result;
      });
    } catch (error) {
      this.#settle(batch, () => {
        throw error;
      });
    }
  }

  #settle(batch: readonly Waiting[], resultOf: (item: Waiting, index: number) => ItemResult): void {
    batch.forEach((item, index) => {
      this.#waiting.delete(item.content);
      try {
        item.resolve(resultOf(item, index));
      } catch (error) {
        item.reject(error);
      }
    });
  }
}

function newWaiting(envelope: Envelope, content: string): Waiting {
  let resolve: Waiting['resolve'] = () => undefined;
  let reject: Waiting['reject'] = () => undefined;
  const result = new Promise<ItemResult>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { envelope, content, result, resolve, reject };
}
