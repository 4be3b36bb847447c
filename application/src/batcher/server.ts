// SPDX-License-Identifier: Apache-2.0
import { attemptNumber, envelope, hash, identifier, roundNumber, type ItemResult } from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError } from '../errors.js';
import { boundRequests, startHttpServer, type HttpServer } from '../services/http-server.js';
import { errorCode, type ServiceLog } from '../services/log.js';
import type { Batcher } from './batcher.js';

/** Body of `POST /envelopes`. */
export const envelopeRequest = z.strictObject({
  taskId: identifier,
  round: roundNumber,
  attempt: attemptNumber,
  baseModelHash: hash,
  envelope,
});

/** Requests that are no envelopes: health, metrics, status. */
const SPARE_REQUESTS = 64;

export interface BatcherServerOptions {
  readonly batcher: Batcher;
  readonly host?: string;
  readonly port?: number;
  /** Envelopes under way, at the most; default 10,000: each waits for its batch. */
  readonly maxRequests?: number;
  readonly log: ServiceLog;
}

/**
 * Serves `POST /envelopes`, `GET /status`, `GET /metrics` and `GET /healthz`. An envelope is answered with 200 and the
 * ledger's result, with 202 and `{id, queued: true}` where it is kept and the ledger has not decided yet, or refused with
 * `{code, detail}`.
 *
 * @throws SevError PORT_IN_USE.
 */
export function startBatcherServer(options: BatcherServerOptions): Promise<HttpServer> {
  const { batcher, maxRequests = 10_000 } = options;
  const { metrics } = batcher;
  return startHttpServer({
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    maxRequests: maxRequests + SPARE_REQUESTS,
    log: options.log,
    statusOf: STATUS,
    routes: (app) => {
      const bounded = boundRequests(maxRequests, () => {
        metrics.envelope('SERVICE_BUSY');
      });
      app.post('/envelopes', bounded, async (request, response) => {
        const result = await submit(batcher, request.body);
        response.status('queued' in result ? 202 : 200).json(result);
      });
      app.get('/status', (_request, response) => {
        response.json(batcher.status());
      });
      app.get('/metrics', async (_request, response) => {
        response.type(metrics.contentType).send(await metrics.text());
      });
      app.get('/healthz', (_request, response) => {
        response.json({ ok: true, service: 'batcher', mspId: batcher.mspId });
      });
    },
  });
}

async function submit(
  batcher: Batcher,
  body: unknown,
): Promise<ItemResult | { readonly id: string; readonly queued: true }> {
  const { metrics } = batcher;
  try {
    const parsed = envelopeRequest.safeParse(body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const where = issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`;
      throw new SevError('ENVELOPE_MALFORMED', where);
    }
    const { envelope: sent, ...place } = parsed.data;
    const result = await batcher.submit(place, sent);
    metrics.envelope(result === undefined ? 'queued' : result.accepted ? 'accepted' : (result.code ?? 'FAILED'));
    return result ?? { id: sent.vehicleId, queued: true };
  } catch (error) {
    metrics.envelope(errorCode(error) ?? 'FAILED');
    throw error;
  }
}

const STATUS: Readonly<Record<string, number>> = {
  ENVELOPE_MALFORMED: 400,
  TASK_UNKNOWN: 404,
  ROUND_STALE: 409,
  ROUND_STATE: 409,
  ROUND_UNKNOWN: 409,
  ROUND_CONFLICT: 409,
  ROUND_DEADLINE_PASSED: 409,
  LEDGER_VIEW_INCONSISTENT: 503,
  RESULT_MISSING: 503,
  STORAGE_FAILED: 503,
  STORAGE_FULL: 507,
};
