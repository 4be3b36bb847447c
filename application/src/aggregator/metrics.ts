// SPDX-License-Identifier: Apache-2.0
import { Counter, Histogram, Registry } from 'prom-client';
import { errorCode } from '../services/log.js';

/** Up to the time that a large cohort takes. */
const SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** What an aggregator counts, in Prometheus' text format. Nothing names a vehicle. */
export class AggregatorMetrics {
  readonly #registry = new Registry();
  readonly #shares = new Counter({
    name: 'sev_aggregator_shares_total',
    help: 'Shares that vehicles posted, by result: accepted, or the code of the refusal.',
    labelNames: ['result'],
    registers: [this.#registry],
  });
  readonly #requests = new Counter({
    name: 'sev_aggregator_requests_total',
    help: 'Requests of organisations, by what was asked and the result.',
    labelNames: ['request', 'result'],
    registers: [this.#registry],
  });
  readonly #seconds = new Histogram({
    name: 'sev_aggregator_request_seconds',
    help: 'How long requests took, refused ones too.',
    labelNames: ['request'],
    buckets: SECONDS,
    registers: [this.#registry],
  });

  /** Of the text. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** A share that was turned away unread. */
  busy(): void {
    this.#shares.inc({ result: 'SERVICE_BUSY' });
  }

  share<T>(work: () => Promise<T>): Promise<T> {
    return this.#observe('share', work, (result) => {
      this.#shares.inc({ result });
    });
  }

  request<T>(request: string, work: () => Promise<T>): Promise<T> {
    return this.#observe(request, work, (result) => {
      this.#requests.inc({ request, result });
    });
  }

  async #observe<T>(request: string, work: () => Promise<T>, count: (result: string) => void): Promise<T> {
    const end = this.#seconds.startTimer({ request });
    try {
      const answer = await work();
      count('accepted');
      return answer;
    } catch (error) {
      count(errorCode(error) ?? 'FAILED');
      throw error;
    } finally {
      end();
    }
  }
}
