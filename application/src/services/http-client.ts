// SPDX-License-Identifier: Apache-2.0
import type { Agent } from 'node:https';
import { EXIT, SevError, messageOf } from '../errors.js';
import { exchange } from '../http/exchange.js';

/** An answer, whatever its status; the body is parsed JSON. */
export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Largest answer that is read unless more is asked for: 1 MB. */
const MAX_ANSWER_BYTES = 1_000_000;

export interface PostOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly maxBytes?: number;
  /** For an `https` address. */
  readonly tls?: Agent;
}

/**
 * Posts JSON.
 *
 * @throws SevError SERVICE_UNREACHABLE, SERVICE_TIMEOUT, SERVICE_ANSWER_MALFORMED.
 */
export async function postJson(url: string, body: unknown, options: PostOptions): Promise<JsonAnswer> {
  const { maxBytes = MAX_ANSWER_BYTES } = options;
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  try {
    const { status, bytes } = await exchange({
      method: 'POST',
      url,
      body: Buffer.from(JSON.stringify(body)),
      type: 'application/json',
      signal,
      maxBytes,
      tooLarge: () =>
        new SevError('SERVICE_ANSWER_MALFORMED', `${url} answered with more than ${String(maxBytes)} bytes`),
      tls: options.tls,
    });
    return { status, body: parse(bytes.toString(), url) };
  } catch (error) {
    if (error instanceof SevError) {
      throw error;
    }
    throw timeout.aborted
      ? new SevError('SERVICE_TIMEOUT', `${url} did not answer within ${String(options.timeoutMs)} ms`, {
          exitCode: EXIT.unreachable,
          cause: error,
        })
      : new SevError('SERVICE_UNREACHABLE', `${url} cannot be reached: ${messageOf(error)}`, {
          exitCode: EXIT.unreachable,
          cause: error,
        });
  }
}

/** What a service answers where it refuses. */
export interface Problem {
  readonly code: string;
  readonly detail: string;
  /** Where it was only too early. */
  readonly leftMs?: number;
  /** MSP id of the organisation that is said to be the cause. */
  readonly accused?: string;
}

/** The refusal in an answer. */
export function problemOf(answer: JsonAnswer): Problem {
  const { body } = answer;
  if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string') {
    const detail = 'detail' in body && typeof body.detail === 'string' ? body.detail : '';
    const leftMs = 'leftMs' in body && typeof body.leftMs === 'number' && body.leftMs >= 0 ? body.leftMs : undefined;
    const accused = 'accused' in body && typeof body.accused === 'string' ? body.accused : undefined;
    return {
      code: body.code,
      detail,
      ...(leftMs === undefined ? {} : { leftMs }),
      ...(accused === undefined ? {} : { accused }),
    };
  }
  return { code: 'SERVICE_FAILED', detail: `HTTP status ${String(answer.status)}` };
}

function parse(text: string, url: string): unknown {
  try {
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  } catch (error) {
    throw new SevError('SERVICE_ANSWER_MALFORMED', `${url} did not answer with JSON`, { cause: error });
  }
}
