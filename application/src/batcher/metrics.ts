// SPDX-License-Identifier: Apache-2.0
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { errorCode } from '../services/log.js';

const SECONDS = [0.02, 0.1, 0.3, 1, 3, 10, 60];
const SIZES = [1, 5, 20, 50, 100];

/** What a batcher counts, in Prometheus' text format. Nothing names a vehicle. */
export class BatcherMetrics {
  readonly #registry = new Registry();
  readonly #envelopes = new Counter({
    name: 'sev_batcher_envelopes_total',
    help: 'Envelopes that were posted, by result: accepted, queued (answered before the ledger had decided), or a code.',
    labelNames: ['result'],
    registers: [this.#registry],
  });
  readonly #batches = new Counter({
    name: 'sev_batcher_batches_total',
    help: 'Tries to record a batch, by result: recorded, or the code of the failure.',
    labelNames: ['result'],
    registers: [this.#registry],
  });
  readonly #sizes = new Histogram({
    name: 'sev_batcher_batch_envelopes',
    help: 'Envelopes in a recorded batch.',
    buckets: SIZES,
    registers: [this.#registry],
  });
  readonly #seconds = new Histogram({
    name: 'sev_batcher_batch_seconds',
    help: 'How long a try to record a batch took.',
    buckets: SECONDS,
    registers: [this.#registry],
  });

  /** @param waiting envelopes that are taken and have no result. */
  constructor(waiting: () => number) {
    new Gauge({
      name: 'sev_batcher_waiting_envelopes',
      help: 'Envelopes that were taken and are not yet decided by the ledger.',
      registers: [this.#registry],
      collect() {
        this.set(waiting());
      },
    });
  }

  /** Of the text. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  envelope(result: string): void {
    this.#envelopes.inc({ result });
  }

  async batch<T>(size: number, work: () => Promise<T>): Promise<T> {
    const end = this.#seconds.startTimer();
    try {
      const done = await work();
      this.#batches.inc({ result: 'recorded' });
      this.#sizes.observe(size);
      return done;
    } catch (error) {
      this.#batches.inc({ result: errorCode(error) ?? 'FAILED' });
      throw error;
    } finally {
      end();
    }
  }
}
