// SPDX-License-Identifier: Apache-2.0
import type { Agent } from 'node:https';
import type { z } from 'zod';
import { SevError } from '../errors.js';
import { AccusationError } from '../services/accusation.js';
import { postJson, problemOf } from '../services/http-client.js';
import { aggregatorAgent, type ClientIdentity } from './tls-agent.js';

/** Where another organisation's aggregator answers, and as whom it is asked. */
export interface ConnectionOptions {
  readonly mspId: string;
  /** `https://127.0.0.1:1234`. */
  readonly url: string;
  /** Root of the TLS CA of the aggregator's organisation, PEM. */
  readonly tlsCaCert: string;
  /** The caller's own identity on the channel: coordinator, attester or aggregator of an organisation. */
  readonly identity: ClientIdentity;
  /** How long one answer may take; default 60 s, the time that a large cohort takes. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;

/** HTTPS with mutual TLS to another organisation's aggregator. */
export class AggregatorConnection {
  readonly mspId: string;
  readonly #url: string;
  readonly #agent: Agent;
  readonly #timeoutMs: number;

  constructor(options: ConnectionOptions) {
    this.mspId = options.mspId;
    this.#url = options.url.replace(/\/+$/, '');
    this.#agent = aggregatorAgent(options.tlsCaCert, options.identity);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /**
   * @param maxBytes of the answer, where it may be longer than ordinary ones.
   * @throws SevError with the code of the refusal, AccusationError where it names another; SERVICE_UNREACHABLE,
   *   SERVICE_TIMEOUT, SERVICE_ANSWER_MALFORMED.
   */
  async ask<T>(path: string, body: unknown, schema: z.ZodType<T>, maxBytes?: number): Promise<T> {
    const url = `${this.#url}${path}`;
    const limit = maxBytes === undefined ? {} : { maxBytes };
    const answer = await postJson(url, body, { timeoutMs: this.#timeoutMs, tls: this.#agent, ...limit });
    if (answer.status !== 200) {
      const { code, detail, accused } = problemOf(answer);
      const message = `${this.mspId}: ${detail}`;
      throw accused === undefined ? new SevError(code, message) : new AccusationError(code, message, accused);
    }
    const parsed = schema.safeParse(answer.body);
    if (!parsed.success) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${url} did not answer with what was asked`);
    }
    return parsed.data;
  }

  /** Drops the connections. */
  close(): void {
    this.#agent.destroy();
  }
}
