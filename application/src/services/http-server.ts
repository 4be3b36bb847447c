// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { SevError, messageOf } from '../errors.js';
import { closeServer, listen } from '../http/listen.js';
import { failureFields, type ServiceLog } from './log.js';
import { TooEarlyError } from './too-early.js';

/** Largest request body: 1 MB. */
export const MAX_BODY_BYTES = 1_000_000;

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
  readonly routes: (app: Express) => void;
}

export interface HttpServer {
  readonly url: string;
  /** Stops listening, waits for requests under way, drops idle connections. */
  close(): Promise<void>;
}

/**
 * Serves JSON over HTTP on loopback: bodies of at most 1 MB, failures as `{"code","detail"}`, and a bound on the work
 * taken on at a time.
 *
 * @throws SevError PORT_IN_USE.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(boundRequests(options.maxRequests));
  app.use(express.json({ limit: MAX_BODY_BYTES, strict: true, inflate: false }));
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
    });
  });
  const server = createServer(app);
  const url = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  return { url, close: () => closeServer(server) };
}

function boundRequests(maximum: number): (request: Request, response: Response, next: NextFunction) => void {
  let underWay = 0;
  return (_request, response, next) => {
    if (underWay >= maximum) {
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

function asProblem(
  error: unknown,
  statusOf: Readonly<Record<string, number>>,
): { status: number; code: string; detail: string } {
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
