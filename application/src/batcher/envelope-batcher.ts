// SPDX-License-Identifier: Apache-2.0
import type { Envelope, ItemResult } from '@sev/chaincode/api';
import { SevError } from '../errors.js';

export interface EnvelopeBatcherOptions {
  /** Commits one batch and returns one result an envelope, in order. */
  readonly record: (envelopes: readonly Envelope[]) => Promise<readonly ItemResult[]>;
  /**
   * How many envelopes are still to come, those included that wait: as soon as so many wait, they go out. 0 where that is
   * not known.
   */
  readonly missing: () => number;
  /** How long from now a batch may be held at the most, in ms; infinite where nothing hurries. */
  readonly hurryMs: () => number;
  /** Envelopes in one transaction, at the most. */
  readonly maxBatch: number;
  /** How long a batch waits for one more envelope. */
  readonly lingerMs: number;
  /** How long the first envelope of a batch is held, however many follow. */
  readonly maxHoldMs: number;
}

interface Waiting {
  readonly envelope: Envelope;
  readonly result: Promise<ItemResult>;
  readonly resolve: (result: ItemResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects the envelopes of one attempt into batches. A batch goes out when it is full, when no more are to come, or when
 * nothing more comes: while envelopes keep coming it is held, because fewer transactions cost everybody less.
 */
export class EnvelopeBatcher {
  readonly #options: EnvelopeBatcherOptions;
  /** Everything not yet answered: held back for a batch, or on its way to the ledger. */
  readonly #waiting = new Set<Waiting>();
  #held: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #heldSince = 0;
  #closedWith: Error | undefined;

  constructor(options: EnvelopeBatcherOptions) {
    this.#options = options;
  }

  /** Envelopes that have no result yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Adds an envelope; resolves with its result once its batch is committed, rejects with the batch's error. */
  async add(envelope: Envelope): Promise<ItemResult> {
    if (this.#closedWith !== undefined) {
      throw this.#closedWith;
    }
    const added = newWaiting(envelope);
    this.#waiting.add(added);
    this.#held.push(added);
    if (this.#held.length >= this.#options.maxBatch || this.#isComplete()) {
      this.flush();
    } else {
      this.#linger();
    }
    return added.result;
  }

  /** Sends what is held if no more is to come by now. */
  reconsider(): void {
    if (this.#held.length > 0 && this.#isComplete()) {
      this.flush();
    }
  }

  /** Sends what is held. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#held.length > 0) {
      void this.#record(this.#held.splice(0, this.#options.maxBatch));
    }
  }

  /** Refuses what is held and everything that follows; batches on their way to the ledger still end. */
  close(error: Error): void {
    this.#closedWith = error;
    clearTimeout(this.#timer);
    for (const held of this.#held.splice(0)) {
      this.#waiting.delete(held);
      held.reject(error);
    }
  }

  #isComplete(): boolean {
    const missing = this.#options.missing();
    return missing > 0 && this.#waiting.size >= missing;
  }

  #linger(): void {
    const { lingerMs, maxHoldMs, hurryMs } = this.#options;
    if (this.#timer === undefined) {
      this.#heldSince = performance.now();
    }
    clearTimeout(this.#timer);
    const left = Math.min(this.#heldSince + maxHoldMs - performance.now(), hurryMs());
    this.#timer = setTimeout(
      () => {
        this.flush();
      },
      Math.min(lingerMs, Math.max(0, left)),
    );
  }

  async #record(batch: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#options.record(batch.map((item) => item.envelope));
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
      this.#waiting.delete(item);
      try {
        item.resolve(resultOf(item, index));
      } catch (error) {
        item.reject(error);
      }
    });
  }
}

function newWaiting(envelope: Envelope): Waiting {
  let resolve: Waiting['resolve'] = () => undefined;
  let reject: Waiting['reject'] = () => undefined;
  const result = new Promise<ItemResult>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { envelope, result, resolve, reject };
}
