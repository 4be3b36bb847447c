// SPDX-License-Identifier: Apache-2.0
import { attemptNumber, hash, identifier, roundNumber, validation, type Validation } from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { postJson, problemOf } from '../services/http-client.js';

/**
 * One organisation that validates, in this process or over HTTP. Everything may be asked again at any time: the answer is
 * the same. It believes its own view of the ledger and nothing that a caller says.
 */
export interface ValidatorClient {
  readonly mspId: string;
  /**
   * Commits itself to its data, to the loss of the base model on them and to its direction from there, for the attempt that
   * may be opened next.
   *
   * @throws SevError ROUND_OUT_OF_ORDER, BASE_MODEL_MISMATCH, VALIDATOR_NOT_NAMED, VALIDATION_DATA_FOREIGN, TASK_UNKNOWN.
   */
  validate(ref: AttemptRef, baseModelHash: string): Promise<Validation>;
  /**
   * Puts the direction that the attempt's opening commits it to into the store. From `cohort` on, and never before.
   *
   * @returns the direction's hash.
   * @throws SevError ROUND_STATE, ROUND_STALE, VALIDATION_UNKNOWN where the opening holds none of it, DIRECTION_MISMATCH
   *   where its data are no longer those that it committed itself to.
   */
  publish(ref: AttemptRef): Promise<string>;
}

const attempt = { taskId: identifier, round: roundNumber, attempt: attemptNumber };
/** Body of `POST /validation/statement`. */
export const validateRequest = z.strictObject({ ...attempt, baseModelHash: hash });
/** Body of `POST /validation/direction`. */
export const publishRequest = z.strictObject(attempt);
const published = z.strictObject({ directionHash: hash });

const TIMEOUT_MS = 60_000;

/** Another organisation's validator, part of its attester, over HTTP. */
export class HttpValidator implements ValidatorClient {
  readonly mspId: string;
  readonly #url: string;

  constructor(mspId: string, url: string) {
    this.mspId = mspId;
    this.#url = url.replace(/\/+$/, '');
  }

  validate(ref: AttemptRef, baseModelHash: string): Promise<Validation> {
    return this.#ask('statement', { ...attemptOf(ref), baseModelHash }, validation);
  }

  async publish(ref: AttemptRef): Promise<string> {
    return (await this.#ask('direction', attemptOf(ref), published)).directionHash;
  }

  async #ask<T>(what: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const answer = await postJson(`${this.#url}/validation/${what}`, body, { timeoutMs: TIMEOUT_MS });
    if (answer.status !== 200) {
      const { code, detail } = problemOf(answer);
      throw new SevError(code, detail);
    }
    const parsed = schema.safeParse(answer.body);
    if (!parsed.success) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${this.#url} did not answer as a validator`);
    }
    return parsed.data;
  }
}
