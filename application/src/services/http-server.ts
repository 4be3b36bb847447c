// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { EXIT, SevError, messageOf, systemCode } from '../errors.js';
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
  await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  const address = server.address() as AddressInfo;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${host}:${String(address.port)}`,
    close: () => closeServer(server),
  };
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

async function listen(server: Server, port: number, host: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE') {
      throw error;
    }
    throw new SevError('PORT_IN_USE', `Port ${String(port)} on ${host} is in use`, {
      hint: 'Take another with --port, or 0 for any free one.',
      exitCode: EXIT.usage,
      cause: error,
    });
  }
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => {
      if (error === undefined || systemCode(error) === 'ERR_SERVER_NOT_RUNNING') {
        resolve();
      } else {
        reject(error);
      }
    });
    server.closeIdleConnections();
  });
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
