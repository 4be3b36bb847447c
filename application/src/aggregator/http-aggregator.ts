// SPDX-License-Identifier: Apache-2.0
import type { Agent } from 'node:https';
import { signedBy, type RoundOpening, type SignedBy } from '@sev/chaincode/api';
import type { z } from 'zod';
import { SevError } from '../errors.js';
import { AccusationError } from '../services/accusation.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { postJson, problemOf } from '../services/http-client.js';
import type {
  AggregatorClient,
  Deal,
  Nonces,
  OpenedProjections,
  PreparedPart,
  Release,
  Revealed,
  SignedHoldings,
  SignedSums,
} from './aggregator-client.js';
import { deals, holdings, preparedPart, projections, release, revealed, sums } from './answers.js';
import { aggregatorAgent, type ClientIdentity } from './tls-agent.js';

export interface HttpAggregatorOptions {
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
/** Projections of the largest cohort come in one answer. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Another organisation's aggregator over HTTPS with mutual TLS. What it answers is of the right form; whether it is true
 * is for the caller to check: signatures, commitments and hashes are there for that.
 */
export class HttpAggregator implements AggregatorClient {
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

  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedPart> {
    return this.#ask('prepare', { ...attemptOf(ref), baseModelHash }, preparedPart);
  }

  deal(ref: AttemptRef, parts: readonly PreparedPart[]): Promise<readonly Deal[]> {
    return this.#ask('deal', { ...attemptOf(ref), parts }, deals);
  }

  accept(ref: AttemptRef, opening: RoundOpening, given: readonly Deal[]): Promise<SignedBy> {
    return this.#ask('accept', { ...attemptOf(ref), opening, deals: given }, signedBy);
  }

  holdings(ref: AttemptRef): Promise<SignedHoldings> {
    return this.#ask('holdings', attemptOf(ref), holdings);
  }

  reveal(ref: AttemptRef, nonces?: Nonces): Promise<Revealed> {
    return this.#ask('reveal', { ...attemptOf(ref), ...(nonces === undefined ? {} : { nonces }) }, revealed);
  }

  projections(ref: AttemptRef, nonces: Nonces): Promise<OpenedProjections> {
    return this.#ask('projections', { ...attemptOf(ref), nonces }, projections);
  }

  sums(ref: AttemptRef): Promise<SignedSums> {
    return this.#ask('sums', attemptOf(ref), sums);
  }

  publish(ref: AttemptRef): Promise<SignedSums['components']> {
    return this.#ask('publish', attemptOf(ref), sums.shape.components);
  }

  release(ref: AttemptRef, which: number): Promise<Release> {
    return this.#ask('release', { ...attemptOf(ref), component: which }, release);
  }

  /** Drops the connections. */
  close(): void {
    this.#agent.destroy();
  }

  /** @throws SevError with the code of the refusal, AccusationError where it names another; SERVICE_UNREACHABLE, SERVICE_TIMEOUT, SERVICE_ANSWER_MALFORMED. */
  async #ask<T>(what: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const url = `${this.#url}/rounds/${what}`;
    const options = { timeoutMs: this.#timeoutMs, maxBytes: MAX_ANSWER_BYTES, tls: this.#agent };
    const answer = await postJson(url, body, options);
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
}
