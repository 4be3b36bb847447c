// SPDX-License-Identifier: Apache-2.0
import { abortReason, attemptNumber, identifier, proposal, roundNumber } from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError } from '../errors.js';
import { startHttpServer, type HttpServer } from '../services/http-server.js';
import type { ServiceLog } from '../services/log.js';
import type { Attester } from './attester.js';

const ref = { taskId: identifier, round: roundNumber, attempt: attemptNumber };
const closeRequest = z.strictObject(ref);
const abortRequest = z.strictObject({ ...ref, reason: abortReason });
const attestRequest = z.strictObject({ proposal });

export interface AttesterServerOptions {
  readonly attester: Attester;
  readonly mspId: string;
  readonly host?: string;
  readonly port?: number;
  /** Requests under way, at the most; default 32: each may recompute a round. */
  readonly maxRequests?: number;
  readonly log: ServiceLog;
}

/**
 * Serves `POST /statements/close|abort|attest` and `GET /healthz`. A signed statement is 200 `{mspId, signature}`,
 * a refusal 409 `{code, detail}`.
 *
 * @throws SevError PORT_IN_USE.
 */
export function startAttesterServer(options: AttesterServerOptions): Promise<HttpServer> {
  const { attester } = options;
  return startHttpServer({
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    maxRequests: options.maxRequests ?? 32,
    log: options.log,
    statusOf: {
      TASK_UNKNOWN: 404,
      ROUND_STATE: 409,
      ROUND_STALE: 409,
      GRACE_NOT_OVER: 409,
      ROUND_DEADLINE_NOT_REACHED: 409,
      COHORT_TOO_SMALL: 409,
      COHORT_REACHED: 409,
      REASON_NOT_CONFIRMED: 409,
      ATTESTATION_REFUSED: 409,
      OBJECT_MISSING: 503,
      CONTENT_HASH_MISMATCH: 503,
    },
    routes: (app) => {
      app.post('/statements/close', async (request, response) => {
        response.json(await attester.close(parsed(closeRequest, request.body)));
      });
      app.post('/statements/abort', async (request, response) => {
        const { reason, ...attempt } = parsed(abortRequest, request.body);
        response.json(await attester.abort(attempt, reason));
      });
      app.post('/statements/attest', async (request, response) => {
        response.json(await attester.attest(parsed(attestRequest, request.body).proposal));
      });
      app.get('/healthz', (_request, response) => {
        response.json({ ok: true, service: 'attester', mspId: options.mspId });
      });
    },
  });
}

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new SevError('ARGUMENT_INVALID', issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`);
  }
  return result.data;
}
