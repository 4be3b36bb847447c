// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { NextFunction, Request, Response } from 'express';
import { sha256Hex } from '@sev/chaincode/api';
import { EXIT, SevError, messageOf } from '../errors.js';
import { closeServer, listen } from '../http/listen.js';
import { FileStore } from './file-store.js';
import { encodeFrame, readRequest } from './frames.js';
import {
  DEFAULT_MAX_OBJECT_BYTES,
  assertHash,
  contentHashMismatch,
  objectMissing,
  objectTooLarge,
} from './object-store.js';

export interface StoreServerOptions {
  /** Where the objects are kept. */
  readonly dir: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  readonly maxObjectBytes?: number;
  /** Told of failures that are not the caller's. */
  readonly onError?: (error: unknown) => void;
}

export interface StoreServer {
  readonly url: string;
  readonly store: FileStore;
  /** Stops listening and waits for requests under way. */
  close(): Promise<void>;
}

/** Answers with several objects are sent in pieces of about this size, whatever the objects' number. */
const PIECE_BYTES = 1024 * 1024;

const STATUS: Readonly<Record<string, number>> = {
  OBJECT_NAME_INVALID: 400,
  REQUEST_INVALID: 400,
  OBJECT_MISSING: 404,
  OBJECT_TOO_LARGE: 413,
  CONTENT_HASH_MISMATCH: 422,
};

/**
 * Serves a {@link FileStore}: `PUT|GET|HEAD /objects/<sha256>`, `POST /objects/read` for several at once,
 * `GET /healthz`. Failures are `{"code","detail"}`.
 *
 * @throws SevError PORT_IN_USE.
 */
export async function startStoreServer(options: StoreServerOptions): Promise<StoreServer> {
  const limit = options.maxObjectBytes ?? DEFAULT_MAX_OBJECT_BYTES;
  const store = await FileStore.open(options.dir, { maxObjectBytes: limit });
  // Loaded here because clients of the store import this folder too.
  const { default: express } = await import('express');
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');

  app.get('/healthz', (_request, response) => {
    response.json({ ok: true, service: 'store' });
  });
  app.put('/objects/:hash', express.raw({ type: () => true, limit, inflate: false }), async (request, response) => {
    const { hash } = request.params;
    assertHash(hash);
    const body: unknown = request.body;
    const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
    const actual = sha256Hex(bytes);
    if (actual !== hash) {
      throw contentHashMismatch(hash, actual);
    }
    await store.put(bytes);
    response.status(204).end();
  });
  app.get('/objects/:hash', async (request, response) => {
    const { hash } = request.params;
    if (request.method === 'HEAD') {
      const size = await store.size(hash);
      response
        .status(size === undefined ? 404 : 200)
        .set('content-length', String(size ?? 0))
        .end();
      return;
    }
    const bytes = await store.get(hash);
    response.set('cache-control', 'public, max-age=31536000, immutable').type('application/octet-stream');
    response.end(bytes);
  });
  app.post('/objects/read', express.json(), async (request, response) => {
    const asked = readRequest.safeParse(request.body);
    if (!asked.success) {
      throw new SevError('REQUEST_INVALID', 'the body must be {"hashes": […]} with SHA-256 hashes', {
        exitCode: EXIT.usage,
      });
    }
    response.type('application/octet-stream');
    await pipeline(Readable.from(framesOf(store, asked.data.hashes)), response);
  });
  app.use((request) => {
    throw objectMissing(request.path);
  });
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const problem = asProblem(error, limit);
    if (problem.status >= 500) {
      options.onError?.(error);
    }
    response.status(problem.status).json({ code: problem.code, detail: problem.detail });
  });

  const server = createServer(app);
  const url = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  return { url, store, close: () => closeServer(server) };
}

/** What the store cannot give is marked; asked for alone it is answered with the reason. */
async function* framesOf(store: FileStore, hashes: readonly string[]): AsyncGenerator<Uint8Array> {
  let frames: Uint8Array[] = [];
  let size = 0;
  for (const hash of hashes) {
    const frame = encodeFrame(await store.get(hash).catch(() => undefined));
    frames.push(...frame);
    size += frame.reduce((sum, part) => sum + part.length, 0);
    if (size >= PIECE_BYTES) {
      yield Buffer.concat(frames);
      frames = [];
      size = 0;
    }
  }
  yield Buffer.concat(frames);
}

function asProblem(error: unknown, limit: number): { status: number; code: string; detail: string } {
  if (error instanceof SevError) {
    return { status: STATUS[error.code] ?? 500, code: error.code, detail: error.message };
  }
  // What the body reader throws carries the status and, for a body that is too large, its length.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500) {
    if (error.status === 413) {
      const length = 'length' in error && typeof error.length === 'number' ? error.length : limit + 1;
      return asProblem(objectTooLarge(length, limit), limit);
    }
    return { status: error.status, code: 'REQUEST_INVALID', detail: error.message };
  }
  return { status: 500, code: 'STORE_FAILED', detail: messageOf(error) };
}
