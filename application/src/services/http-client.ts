// SPDX-License-Identifier: Apache-2.0
import { Agent, request as httpRequest } from 'node:http';
import { EXIT, SevError, messageOf, systemCode } from '../errors.js';

/** An answer, whatever its status; the body is parsed JSON. */
export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Largest answer that is read: 1 MB. */
const MAX_ANSWER_BYTES = 1_000_000;

/** Connections are kept alive and used again. `fetch` would do too, at twice the processor time a request. */
const agent = new Agent({ keepAlive: true });

/**
 * Posts JSON.
 *
 * @throws SevError SERVICE_UNREACHABLE, SERVICE_TIMEOUT, SERVICE_ANSWER_MALFORMED.
 */
export async function postJson(
  url: string,
  body: unknown,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<JsonAnswer> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  const data = Buffer.from(JSON.stringify(body));
  try {
    const { status, text } = await post(url, data, signal);
    return { status, body: parse(text, url) };
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

/** The `{code, detail}` of a refusal, as services answer it. */
export function problemOf(answer: JsonAnswer): { code: string; detail: string } {
  const { body } = answer;
  if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string') {
    return { code: body.code, detail: 'detail' in body && typeof body.detail === 'string' ? body.detail : '' };
  }
  return { code: 'SERVICE_FAILED', detail: `HTTP status ${String(answer.status)}` };
}

function post(url: string, data: Buffer, signal: AbortSignal): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': data.length };
    const request = httpRequest(url, { method: 'POST', agent, headers, signal }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) {
          response.destroy(new SevError('SERVICE_ANSWER_MALFORMED', `${url} answered with more than 1 MB`));
        }
        chunks.push(chunk);
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
      response.on('error', reject);
    });
    request.on('error', (error) => {
      if (request.reusedSocket && systemCode(error) === 'ECONNRESET') {
        // The service closed the idle connection just as it was taken up again; it has not seen the request.
        resolve(post(url, data, signal));
      } else {
        reject(error);
      }
    });
    request.end(data);
  });
}

function parse(text: string, url: string): unknown {
  try {
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  } catch (error) {
    throw new SevError('SERVICE_ANSWER_MALFORMED', `${url} did not answer with JSON`, { cause: error });
  }
}
