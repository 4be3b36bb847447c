// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { sha256Hex } from '@sev/chaincode/api';
import { EXIT, SevError, messageOf } from '../errors.js';
import { exchange, type Answer } from '../http/exchange.js';
import { MAX_OBJECTS, decodeFrames } from './frames.js';
import {
  DEFAULT_MAX_OBJECT_BYTES,
  assertHash,
  contentHashMismatch,
  objectMissing,
  objectTooLarge,
  type ObjectStore,
} from './object-store.js';
import { Together } from './together.js';

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
  readonly #together = new Together(MAX_OBJECTS, (hashes) => this.#readSeveral(hashes));

  /** @param url of the store, `http://127.0.0.1:1234`. */
  constructor(url: string, options: HttpStoreOptions = {}) {
    this.url = url.replace(/\/+$/, '');
    this.#maxObjectBytes = options.maxObjectBytes ?? DEFAULT_MAX_OBJECT_BYTES;
    this.#retryMs = options.retryMs ?? 15_000;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const hash = sha256Hex(bytes);
    const answer = await this.#request('PUT', `objects/${hash}`, { bytes, type: 'application/octet-stream' });
    if (answer.status === 413) {
      throw objectTooLarge(bytes.length, this.#maxObjectBytes);
    }
    if (!isOk(answer)) {
      throw unexpected('PUT', hash, answer);
    }
    return hash;
  }

  /** Objects that are asked for at the same moment travel together. */
  async get(hash: string): Promise<Uint8Array> {
    assertHash(hash);
    return (await this.#together.get(hash)) ?? this.#getAlone(hash);
  }

  async #getAlone(hash: string): Promise<Uint8Array> {
    const answer = await this.#request('GET', `objects/${hash}`);
    if (answer.status === 404) {
      throw objectMissing(hash);
    }
    if (!isOk(answer)) {
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
    const answer = await this.#request('HEAD', `objects/${hash}`);
    if (!isOk(answer) && answer.status !== 404) {
      throw unexpected('HEAD', hash, answer);
    }
    return isOk(answer);
  }

  /** Objects are named by content, so repeating any of these requests is harmless. */
  async #request(method: StoreMethod, path: string, body?: Body, maxBytes = this.#maxObjectBytes): Promise<Answer> {
    const giveUpAt = Date.now() + this.#retryMs;
    for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, 1_000)) {
      try {
        return await this.#exchange(method, path, body, maxBytes);
      } catch (error) {
        if (error instanceof SevError) {
          throw error;
        }
        if (Date.now() + pauseMs >= giveUpAt) {
          throw new SevError('STORE_UNREACHABLE', `The store at ${this.url} does not answer: ${messageOf(error)}`, {
            hint: 'Is `sev store run` running, and is the URL right?',
            exitCode: EXIT.unreachable,
            cause: error,
          });
        }
        await delay(pauseMs);
      }
    }
  }

  #exchange(method: StoreMethod, path: string, body: Body | undefined, maxBytes: number): Promise<Answer> {
    return exchange({
      method,
      url: `${this.url}/${path}`,
      ...(body === undefined ? {} : { body: body.bytes, type: body.type }),
      signal: AbortSignal.timeout(this.#timeoutMs),
      maxBytes,
      tooLarge: (bytes) => objectTooLarge(bytes, this.#maxObjectBytes),
    });
  }

  /** Objects that did not arrive, or not as they should have, are undefined. */
  async #readSeveral(hashes: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const body = { bytes: Buffer.from(JSON.stringify({ hashes })), type: 'application/json' };
    const limit = hashes.length * (this.#maxObjectBytes + 4);
    const answer = await this.#request('POST', 'objects/read', body, limit);
    const objects = isOk(answer) ? decodeFrames(answer.bytes, hashes.length) : undefined;
    return hashes.map((hash, index) => {
      const bytes = objects?.[index];
      return bytes !== undefined && sha256Hex(bytes) === hash ? bytes : undefined;
    });
  }
}

interface Body {
  readonly bytes: Uint8Array;
  readonly type: string;
}

type StoreMethod = 'GET' | 'HEAD' | 'POST' | 'PUT';

function isOk({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

/** The error that the store names, where it is one of integrity; a failed request otherwise. */
function unexpected(method: StoreMethod, hash: string, answer: Answer): SevError {
  const text = answer.bytes.toString();
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
