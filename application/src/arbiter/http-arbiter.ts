// SPDX-License-Identifier: Apache-2.0
import type { RoundOpening, SignedBy } from '@sev/chaincode/api';
import type { z } from 'zod';
import { SevError } from '../errors.js';
import type { AttemptRef } from '../services/attempt.js';
import { postJson, problemOf } from '../services/http-client.js';
import type { ArbiterClient, Verdict, VerdictRequest } from './arbiter-client.js';
import { keyAnswer, openingAnswer, verdictAnswer } from './arbiter-requests.js';

/** A verdict may take the reading and computing of a whole cohort. */
const TIMEOUT_MS = 120_000;

/** Another organisation's arbiter, in the program of its attester. */
export class HttpArbiter implements ArbiterClient {
  readonly mspId: string;
  readonly #url: string;

  constructor(mspId: string, url: string) {
    this.mspId = mspId;
    this.#url = url.replace(/\/+$/, '');
  }

  prepare(ref: AttemptRef): Promise<NonNullable<RoundOpening['arbiter']>> {
    return this.#ask('key', { ref }, keyAnswer);
  }

  accept(ref: AttemptRef, baseModelHash: string, opening: RoundOpening): Promise<SignedBy> {
    return this.#ask('opening', { ref, baseModelHash, opening }, openingAnswer);
  }

  verdict(request: VerdictRequest): Promise<Verdict> {
    return this.#ask('verdict', request, verdictAnswer);
  }

  async #ask<T>(what: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const answer = await postJson(`${this.#url}/arbiter/${what}`, body, { timeoutMs: TIMEOUT_MS });
    if (answer.status !== 200) {
      const { code, detail } = problemOf(answer);
      throw new SevError(code, detail);
    }
    const parsed = schema.safeParse(answer.body);
    if (!parsed.success) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${this.#url} did not answer as an arbiter does`);
    }
    return parsed.data;
  }
}
