// SPDX-License-Identifier: Apache-2.0
import { attemptNumber, envelope, hash, identifier, roundNumber } from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError } from '../errors.js';
import { startHttpServer, type HttpServer } from '../services/http-server.js';
import type { ServiceLog } from '../services/log.js';
import type { Coordinator } from './coordinator.js';

/** Body of `POST /envelopes`. */
export const envelopeRequest = z.strictObject({
  taskId: identifier,
  round: roundNumber,
  attempt: attemptNumber,
  baseModelHash: hash,
  envelope,
});
export type EnvelopeRequest = z.infer<typeof envelopeRequest>;

export interface CoordinatorServerOptions {
  readonly coordinator: Coordinator;
  readonly host?: string;
  readonly port?: number;
  /** Requests under way, at the most; default 10,000: each waits for its batch. */
  readonly maxRequests?: number;
  readonly log: ServiceLog;
}

/** Serves `POST /envelopes`, `GET /status` and `GET /healthz`. @throws SevError PORT_IN_USE. */
export function startCoordinatorServer(options: CoordinatorServerOptions): Promise<HttpServer> {
  const { coordinator } = options;
  return startHttpServer({
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    maxRequests: options.maxRequests ?? 10_000,
    log: options.log,
    statusOf: {
      ENVELOPE_MALFORMED: 400,
      TASK_UNKNOWN: 404,
      ROUND_STALE: 409,
      ROUND_STATE: 409,
      ROUND_UNKNOWN: 409,
      ROUND_CONFLICT: 409,
      ROUND_DEADLINE_PASSED: 409,
      RESULT_MISSING: 503,
    },
    routes: (app) => {
      app.post('/envelopes', async (request, response) => {
        const parsed = envelopeRequest.safeParse(request.body);
        if (!parsed.success) {
          const issue = parsed.error.issues[0];
          const where = issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`;
          throw new SevError('ENVELOPE_MALFORMED', where);
        }
        response.json(await coordinator.submitEnvelope(parsed.data, parsed.data.envelope));
      });
      app.get('/status', (_request, response) => {
        response.json(coordinator.status());
      });
      app.get('/healthz', (_request, response) => {
        response.json({ ok: true, service: 'coordinator' });
      });
    },
  });
}
