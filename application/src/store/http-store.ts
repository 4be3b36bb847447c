// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { sha256Hex } from '@sev/chaincode/api';
import { EXIT, SevError, messageOf } from '../errors.js';
import {
  DEFAULT_MAX_OBJECT_BYTES,
  assertHash,
  contentHashMismatch,
  objectMissing,
  objectTooLarge,
  type ObjectStore,
} from './object-store.js';

export interface HttpStoreOptions {
  readonly maxObjectBytes?: number;
  /** How long to try again while the store cannot be reached; default 15 s. */
  readonly retryMs?: number;
  /** How long one request may take; default 30 s. */
  readonly timeoutMs?: number;
}

/** A store behind {@link startStoreServer}. Trusts nothing it is sent: every object is hashed again here. */
export class HttpStore implements ObjectStore {
  readonly url: string;
  readonly #maxObjectBytes: number;
  readonly #retryMs: number;
  readonly #timeoutMs: number;

  /** @param url of the store, `http://127.0.0.1:1234`. */
  constructor(url: string, options: HttpStoreOptions = {}) {
    this.url = url.replace(/\/+$/, '');
    this.#maxObjectBytes = options.maxObjectBytes ?? DEFAULT_MAX_OBJECT_BYTES;
    this.#retryMs = options.retryMs ?? 15_000;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const hash = sha256Hex(bytes);
    const answer = await this.#request('PUT', hash, new Uint8Array(bytes));
    if (answer.status === 413) {
      throw objectTooLarge(bytes.length, this.#maxObjectBytes);
    }
    if (!answer.ok) {
      throw unexpected('PUT', hash, answer);
    }
    return hash;
  }

  async get(hash: string): Promise<Uint8Array> {
    assertHash(hash);
    const answer = await this.#request('GET', hash);
    if (answer.status === 404) {
      throw objectMissing(hash);
    }
    if (!answer.ok) {
      throw unexpected('GET', hash, answer);
    }
    const actual = sha256Hex(answer.bytes);
    if (actual !== hash) {
      throw contentHashMismatch(hash, actual);
    }
    return answer.bytes;
  }

  async has(hash: string): Promise<boolean> {
    assertHash(hash);
    const answer = await this.#request('HEAD', hash);
    if (!answer.ok && answer.status !== 404) {
      throw unexpected('HEAD', hash, answer);
    }
    return answer.ok;
  }

  /** Objects are named by content, so repeating any of these requests is harmless. */
  async #request(method: string, hash: string, body?: Uint8Array<ArrayBuffer>): Promise<Answer> {
    const giveUpAt = Date.now() + this.#retryMs;
    for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, 1_000)) {
      try {
        return await this.#exchange(method, hash, body);
      } catch (error) {
        if (error instanceof SevError) {
          throw error;
        }
        if (Date.now() + pauseMs >= giveUpAt) {
          const reason = error instanceof Error && error.cause !== undefined ? error.cause : error;
          throw new SevError('STORE_UNREACHABLE', `The store at ${this.url} does not answer: ${messageOf(reason)}`, {
            hint: 'Is `sev store run` running, and is the URL right?',
            exitCode: EXIT.unreachable,
            cause: error,
          });
        }
        await delay(pauseMs);
      }
    }
  }

  async #exchange(method: string, hash: string, body?: Uint8Array<ArrayBuffer>): Promise<Answer> {
    const response = await fetch(`${this.url}/objects/${hash}`, {
      method,
      signal: AbortSignal.timeout(this.#timeoutMs),
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/octet-stream' } }),
    });
    const length = Number(response.headers.get('content-length') ?? 0);
    if (method === 'GET' && length > this.#maxObjectBytes) {
      await response.body?.cancel();
      throw objectTooLarge(length, this.#maxObjectBytes);
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { ok: response.ok, status: response.status, bytes };
  }
}

interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly bytes: Uint8Array;
}

/** The error that the store names, where it is one of integrity; a failed request otherwise. */
function unexpected(method: string, hash: string, answer: Answer): SevError {
  const text = Buffer.from(answer.bytes).toString('utf8');
  const code = /"code":"([A-Z_]+)"/.exec(text)?.[1];
  if (code === 'CONTENT_HASH_MISMATCH') {
    return new SevError(code, `The store refuses ${method} of object ${hash}: its bytes have another hash`, {
      hint: 'The object was changed or damaged; do not use it.',
      exitCode: EXIT.integrity,
    });
  }
  return new SevError('STORE_FAILED', `${method} of object ${hash} failed with HTTP status ${String(answer.status)}`, {
    hint: "The store's log says why.",
  });
}
