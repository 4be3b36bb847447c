// SPDX-License-Identifier: Apache-2.0
import type { Agent } from 'node:https';
import {
  commitHeSum,
  fixCohort,
  hash,
  heOpening,
  signedBy,
  type CommitHeSum,
  type FixCohort,
  type HeOpening,
  type SignedBy,
} from '@sev/chaincode/api';
import { z } from 'zod';
import type { HttpAggregatorOptions } from '../aggregator/http-aggregator.js';
import { aggregatorAgent } from '../aggregator/tls-agent.js';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { postJson, problemOf } from '../services/http-client.js';
import type { HePartyClient, PreparedHePart } from './party-client.js';

const TIMEOUT_MS = 60_000;

const part = z.union([
  z.strictObject({}),
  heOpening.pick({ publicKeyHash: true }),
  heOpening.pick({ sealingKey: true }),
]);
const { sum, masks, masked } = commitHeSum.shape;
const published = z.strictObject({ hash });

/**
 * Another organisation's part in mode `he`, over HTTPS with mutual TLS, at the address of its aggregator. What it answers is
 * of the right form; whether it is true is for the caller to check.
 */
export class HttpHeParty implements HePartyClient {
  readonly mspId: string;
  readonly #url: string;
  readonly #agent: Agent;
  readonly #timeoutMs: number;

  constructor(options: HttpAggregatorOptions) {
    this.mspId = options.mspId;
    this.#url = options.url.replace(/\/+$/, '');
    this.#agent = aggregatorAgent(options.tlsCaCert, options.identity);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedHePart> {
    return this.#ask('prepare', { ...attemptOf(ref), baseModelHash }, part);
  }

  accept(ref: AttemptRef, opening: HeOpening): Promise<SignedBy> {
    return this.#ask('accept', { ...attemptOf(ref), opening }, signedBy);
  }

  holdings(ref: AttemptRef): Promise<FixCohort['holdings'][number]> {
    return this.#ask('holdings', attemptOf(ref), fixCohort.shape.holdings.element);
  }

  sum(ref: AttemptRef): Promise<CommitHeSum['sum']> {
    return this.#ask('sum', attemptOf(ref), sum);
  }

  masks(ref: AttemptRef): Promise<CommitHeSum['masks']> {
    return this.#ask('masks', attemptOf(ref), masks);
  }

  decrypt(ref: AttemptRef, of: CommitHeSum['sum']): Promise<CommitHeSum['masked']> {
    return this.#ask('decrypt', { ...attemptOf(ref), sum: of }, masked);
  }

  publish(ref: AttemptRef): Promise<{ readonly hash: string }> {
    return this.#ask('publish', attemptOf(ref), published);
  }

  /** Drops the connections. */
  close(): void {
    this.#agent.destroy();
  }

  /** @throws SevError with the code of the refusal; SERVICE_UNREACHABLE, SERVICE_TIMEOUT, SERVICE_ANSWER_MALFORMED. */
  async #ask<T>(what: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const url = `${this.#url}/he/${what}`;
    const answer = await postJson(url, body, { timeoutMs: this.#timeoutMs, tls: this.#agent });
    if (answer.status !== 200) {
      const { code, detail } = problemOf(answer);
      throw new SevError(code, `${this.mspId}: ${detail}`);
    }
    const parsed = schema.safeParse(answer.body);
    if (!parsed.success) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${url} did not answer with what was asked`);
    }
    return parsed.data;
  }
}
