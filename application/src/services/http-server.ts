// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import type { z } from 'zod';
import { SevError, messageOf } from '../errors.js';
import { closeServer, listen } from '../http/listen.js';
import { AccusationError } from './accusation.js';
import { failureFields, type ServiceLog } from './log.js';
import { TooEarlyError } from './too-early.js';

/** Largest request body unless told otherwise: 1 MB. */
export const MAX_BODY_BYTES = 1_000_000;

/** How long a client may take to send a request. */
const REQUEST_MS = 30_000;

/** A server's own certificate, and the roots of the certificates that clients may show. All PEM. */
export interface ServerTls {
  readonly key: string;
  readonly certificate: string;
  readonly clientRoots: readonly string[];
}

export interface HttpServerOptions {
  /** Default 127.0.0.1: a service is only reachable from outside when its operator says so. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Requests under way, at the most; more are answered 503 SERVICE_BUSY at once. */
  readonly maxRequests: number;
  /** HTTP status by error code; a code that is not here is a fault of the service: 500. */
  readonly statusOf: Readonly<Record<string, number>>;
  readonly log: ServiceLog;
  /** Serves HTTPS. Clients need no certificate: whether the one that they show is good enough is the routes' to say. */
  readonly tls?: ServerTls;
  /** Largest request body; default 1 MB. */
  readonly maxBodyBytes?: number;
  /** Default true: routes get bodies of JSON. False: each reads its own with {@link jsonBody}. */
  readonly readsBodies?: boolean;
  readonly routes: (app: Express) => void;
}

export interface HttpServer {
  readonly url: string;
  /** Stops listening, waits for requests under way, drops idle connections. */
  close(): Promise<void>;
}

/**
 * Serves JSON over HTTP or HTTPS, by default on loopback: bodies of at most 1 MB, failures as `{"code","detail"}`, and a bound on the work
 * taken on at a time.
 *
 * @throws SevError PORT_IN_USE.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(boundRequests(options.maxRequests));
  if (options.readsBodies ?? true) {
    app.use(jsonBody(options.maxBodyBytes ?? MAX_BODY_BYTES));
  }
  options.routes(app);
  app.use((request: Request) => {
    throw new SevError('ROUTE_UNKNOWN', `${request.method} ${request.path} is not offered here`);
  });
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const problem = asProblem(error, options.statusOf);
    if (problem.status >= 500 && problem.status !== 503) {
      options.log.error(failureFields(error), 'a request failed');
    }
    response.status(problem.status).json({
      code: problem.code,
      detail: problem.detail,
      ...(error instanceof TooEarlyError ? { leftMs: error.leftMs } : {}),
      ...(error instanceof AccusationError ? { accused: error.accused } : {}),
    });
  });
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(app)
      : createTlsServer(
          {
            key: tls.key,
            cert: tls.certificate,
            ca: [...tls.clientRoots],
            minVersion: 'TLSv1.3',
            requestCert: true,
            rejectUnauthorized: false,
          },
          app,
        );
  server.requestTimeout = REQUEST_MS;
  const url = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  return { url, close: () => closeServer(server) };
}

/** Reads a body of JSON of at most so many bytes; larger ones are refused before they are read. */
export function jsonBody(limit: number): RequestHandler {
  return express.json({ limit, strict: true, inflate: false });
}

/**
 * A request's body in the form that a route takes.
 *
 * @throws SevError ARGUMENT_INVALID naming the place; the value is not repeated: it may be somebody's share.
 */
export function parsedBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new SevError('ARGUMENT_INVALID', issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`);
  }
  return result.data;
}

/** Drops a request whose body has not come within so many milliseconds; stands before the reader of the body. */
export function bodyWithin(ms: number): RequestHandler {
  return (request, response, next) => {
    const timer = setTimeout(() => request.socket.destroy(), ms);
    const stop = (): void => {
      clearTimeout(timer);
    };
    request.once('end', stop);
    response.once('close', stop);
    next();
  };
}

/** Lets so many requests be under way at a time; more are refused at once with SERVICE_BUSY. */
export function boundRequests(maximum: number, onBusy?: () => void): RequestHandler {
  let underWay = 0;
  return (_request, response, next) => {
    if (underWay >= maximum) {
      onBusy?.();
      response.set('retry-after', '1');
      throw new SevError('SERVICE_BUSY', `${String(maximum)} requests are under way`);
    }
    underWay++;
    response.once('close', () => underWay--);
    next();
  };
}

const COMMON_STATUS: Readonly<Record<string, number>> = {
  ARGUMENT_INVALID: 400,
  ROUTE_UNKNOWN: 404,
  SERVICE_BUSY: 503,
  SERVICE_CLOSING: 503,
  LEDGER_UNREACHABLE: 503,
  LEDGER_TIMEOUT: 503,
  LEDGER_CONFLICT: 503,
  LEDGER_FAILED: 503,
  LEDGER_FATE_UNKNOWN: 503,
  LEDGER_COMMIT_FAILED: 503,
  STORE_UNREACHABLE: 503,
  STORE_FAILED: 503,
};

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

/** How a failure is answered. */
export function asProblem(error: unknown, statusOf: Readonly<Record<string, number>>): Problem {
  if (error instanceof SevError) {
    const status = statusOf[error.code] ?? COMMON_STATUS[error.code] ?? 500;
    return { status, code: error.code, detail: error.message };
  }
  // What the body reader throws carries the HTTP status.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500) {
    const code = error.status === 413 ? 'BODY_TOO_LARGE' : 'BODY_MALFORMED';
    return { status: error.status, code, detail: error.message };
  }
  return { status: 500, code: 'SERVICE_FAILED', detail: messageOf(error) };
}
