// SPDX-License-Identifier: Apache-2.0
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type Agent as HttpsAgent } from 'node:https';
import { systemCode } from '../errors.js';

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly url: string;
  readonly body?: Uint8Array;
  /** Content type of the body. */
  readonly type?: string;
  readonly signal: AbortSignal;
  /** Largest answer that is read. */
  readonly maxBytes: number;
  /** The error to fail with where the answer is larger than that. */
  readonly tooLarge: (bytes: number) => Error;
  /** For an `https` address: connections with their certificates, kept alive. */
  readonly tls?: HttpsAgent | undefined;
}

export interface Answer {
  readonly status: number;
  readonly bytes: Buffer;
}

/** Connections are kept alive and used again. `fetch` would do too, at twice the processor time a request. */
const agent = new Agent({ keepAlive: true });

/** One HTTP request and its whole answer. Rejects with the system's error where there is no answer. */
export function exchange(options: Exchange): Promise<Answer> {
  const { method, url, body, type, signal, tls } = options;
  const headers = body === undefined ? {} : { 'content-type': type, 'content-length': body.length };
  return new Promise((resolve, reject) => {
    const onResponse = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > options.maxBytes) {
          response.destroy(options.tooLarge(length));
        }
        chunks.push(chunk);
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(chunks, length) });
      });
      response.on('error', reject);
    };
    const request =
      tls === undefined
        ? httpRequest(url, { method, agent, headers, signal }, onResponse)
        : httpsRequest(url, { method, agent: tls, headers, signal }, onResponse);
    request.on('error', (error) => {
      if (request.reusedSocket && systemCode(error) === 'ECONNRESET') {
        // The service closed the idle connection just as it was taken up again; it has not seen the request.
        resolve(exchange(options));
      } else {
        reject(error);
      }
    });
    request.end(body);
  });
}
