// SPDX-License-Identifier: Apache-2.0
import type { Ledger } from '../ledger/ledger.js';
import { BLOCK_METADATA, newBlock, setBlockMetadata, signBlock } from '../protocol/block.js';
import type { OrderingConfig, SigningIdentity } from '../types.js';
import type { BlockValidator } from './validator.js';

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

/** What may wait for its block; more is refused until some is committed. */
export interface QueueLimits {
  readonly transactions: number;
  readonly bytes: number;
}

const DEFAULT_LIMITS: QueueLimits = { transactions: 20_000, bytes: 256 * 1024 * 1024 };

/**
 * Orders envelopes into blocks. A block is cut when it holds enough messages or bytes, or when its first message has
 * waited for the batch timeout. Blocks are then validated and committed one after the other.
 */
export class Orderer {
  readonly #ledger: Ledger;
  readonly #validator: BlockValidator;
  readonly #identity: SigningIdentity;
  readonly #config: OrderingConfig;
  readonly #log: Log;
  readonly #limits: QueueLimits;
  readonly #batches: Uint8Array[][] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #waiting = 0;
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  #isCommitting = false;
  #committing = Promise.resolve();
  #failure: Error | undefined;

  constructor(
    ledger: Ledger,
    validator: BlockValidator,
    identity: SigningIdentity,
    config: OrderingConfig,
    log: Log,
    limits = DEFAULT_LIMITS,
  ) {
    this.#ledger = ledger;
    this.#validator = validator;
    this.#identity = identity;
    this.#config = config;
    this.#log = log;
    this.#limits = limits;
  }

  /**
   * Takes a serialised envelope; it will be in one of the next blocks unless the network stops first.
   * @throws Error where the network cannot take more, or cannot commit any longer.
   */
  order(envelope: Uint8Array): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    const { transactions, bytes } = this.#limits;
    if (this.#waiting >= transactions || this.#waitingBytes + envelope.length > bytes) {
      throw new Error(`${String(this.#waiting)} transactions wait to be committed; try again later`);
    }
    this.#waiting += 1;
    this.#waitingBytes += envelope.length;
    const { preferredMaxBytes, maxMessageCount } = this.#config;
    if (this.#pending.length > 0 && this.#pendingBytes + envelope.length > preferredMaxBytes) {
      this.#cut();
    }
    this.#pending.push(envelope);
    this.#pendingBytes += envelope.length;
    if (this.#pendingBytes > preferredMaxBytes || this.#pending.length >= maxMessageCount) {
      this.#cut();
    } else {
      this.#schedule();
    }
  }

  /** Commits what was taken, then returns. Nothing may be ordered any longer. */
  async close(): Promise<void> {
    if (this.#pending.length > 0) {
      this.#cut();
    }
    this.#failure ??= new Error('the network is stopping');
    await this.#committing;
  }

  #schedule(): void {
    if (this.#timer !== undefined) {
      return;
    }
    if (!this.#config.cutWhenIdle) {
      this.#timer = setTimeout(() => {
        this.#cut();
      }, this.#config.batchTimeoutMs);
    } else if (!this.#isCommitting) {
      this.#timer = setImmediate(() => {
        this.#cut();
      });
    }
  }

  #cut(): void {
    clearTimeout(this.#timer as NodeJS.Timeout | undefined);
    clearImmediate(this.#timer as NodeJS.Immediate | undefined);
    this.#timer = undefined;
    if (this.#pending.length > 0) {
      this.#batches.push(this.#pending);
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    if (!this.#isCommitting) {
      this.#isCommitting = true;
      this.#committing = this.#commitAll();
    }
  }

  async #commitAll(): Promise<void> {
    for (;;) {
      if (this.#batches.length === 0 && this.#config.cutWhenIdle && this.#pending.length > 0) {
        this.#cut();
      }
      const batch = this.#batches.shift();
      if (batch === undefined) {
        this.#isCommitting = false;
        return;
      }
      try {
        await this.#commit(batch);
        this.#waiting -= batch.length;
        this.#waitingBytes -= batch.reduce((sum, envelope) => sum + envelope.length, 0);
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
  }

  /** Gives up what waits: the ledger tells whoever waits for it. */
  #fail(cause: unknown): void {
    const failure = this.#ledger.fail(cause);
    this.#failure = failure;
    this.#batches.length = 0;
    this.#pending = [];
    this.#log('error', 'committing a block failed; no further transaction is taken', {
      error: failure.message,
      cause: String(failure.cause),
    });
  }

  async #commit(envelopes: readonly Uint8Array[]): Promise<void> {
    const number = this.#ledger.height;
    const block = newBlock(number, this.#ledger.lastHeaderHash, envelopes);
    signBlock(block, this.#identity);
    const { flags, transactions } = await this.#validator.validate(number, envelopes);
    setBlockMetadata(block, BLOCK_METADATA.transactionsFilter, flags);
    await this.#ledger.commit(block, transactions);
  }
}
