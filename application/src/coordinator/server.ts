// SPDX-License-Identifier: Apache-2.0
import { startHttpServer, type HttpServer } from '../services/http-server.js';
import type { ServiceLog } from '../services/log.js';
import type { Coordinator } from './coordinator.js';

export interface CoordinatorServerOptions {
  readonly coordinator: Coordinator;
  readonly host?: string;
  readonly port?: number;
  readonly log: ServiceLog;
}

const MAX_REQUESTS = 64;

/** Serves `GET /status` and `GET /healthz`: a coordinator takes nothing in but what the ledger shows. @throws SevError PORT_IN_USE. */
export function startCoordinatorServer(options: CoordinatorServerOptions): Promise<HttpServer> {
  const { coordinator } = options;
  return startHttpServer({
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    maxRequests: MAX_REQUESTS,
    log: options.log,
    statusOf: {},
    routes: (app) => {
      app.get('/status', (_request, response) => {
        response.json(coordinator.status());
      });
      app.get('/healthz', (_request, response) => {
        response.json({ ok: true, service: 'coordinator' });
      });
    },
  });
}
