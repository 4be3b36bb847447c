// SPDX-License-Identifier: Apache-2.0
import { abortReason, attemptNumber, identifier, proposal, roundNumber } from '@sev/chaincode/api';
import { cohortRequest, scoresRequest } from './secure-requests.js';
import { z } from 'zod';
import { abortEvidence } from '../services/abort-evidence.js';
import { parsedBody, startHttpServer, type HttpServer } from '../services/http-server.js';
import type { ServiceLog } from '../services/log.js';
import type { Arbiter } from '../arbiter/arbiter.js';
import { keyRequest, openingRequest, verdictRequest } from '../arbiter/arbiter-requests.js';
import { publishRequest, validateRequest, type ValidatorClient } from '../validation/validator-client.js';
import type { CorrectionMeasurer } from '../incidents/measurer.js';
import type { Attester } from './attester.js';
import { addCorrectionRoutes, CORRECTION_STATUS } from './correction-routes.js';

const ref = { taskId: identifier, round: roundNumber, attempt: attemptNumber };
const closeRequest = z.strictObject(ref);
const abortRequest = z.strictObject({ ...ref, reason: abortReason, evidence: abortEvidence.optional() });
const attestRequest = z.strictObject({ proposal });

/**
 * Largest body. Numbers of earlier rounds are sent only to an attester that has not seen them, as after a restart: with eight
 * random projections, three components and ten earlier rounds those of some 10 000 vehicles fit. Of the present round alone,
 * those of 100 000.
 */
const MAX_SCORES_BYTES = 16_000_000;

export interface AttesterServerOptions {
  readonly attester: Attester;
  /** Where the organisation validates. */
  readonly validator?: ValidatorClient;
  /** Where it validates, and knows the aggregators that open disputed updates. */
  readonly measurer?: CorrectionMeasurer;
  /** Settles disputes where the organisation is no aggregator. */
  readonly arbiter: Arbiter;
  readonly mspId: string;
  readonly host?: string;
  readonly port?: number;
  /** Requests under way, at the most; default 32: each may recompute a round. */
  readonly maxRequests?: number;
  readonly log: ServiceLog;
}

/**
 * Serves `POST /statements/close|abort|attest|cohort|scores`, `POST /arbiter/key|opening|verdict`, where the organisation
 * validates `POST /validation/statement|direction` and `POST /corrections/candidates|measure`, and `GET /healthz`. A signed statement is 200 `{mspId, signature}`,
 * a refusal 409 `{code, detail}`.
 *
 * @throws SevError PORT_IN_USE.
 */
export function startAttesterServer(options: AttesterServerOptions): Promise<HttpServer> {
  const { attester, arbiter, validator, measurer } = options;
  return startHttpServer({
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    maxRequests: options.maxRequests ?? 32,
    maxBodyBytes: MAX_SCORES_BYTES,
    log: options.log,
    statusOf: {
      ...CORRECTION_STATUS,
      TASK_UNKNOWN: 404,
      ROUND_STATE: 409,
      ROUND_STALE: 409,
      GRACE_NOT_OVER: 409,
      ROUND_DEADLINE_NOT_REACHED: 409,
      COHORT_TOO_SMALL: 409,
      COHORT_REACHED: 409,
      REASON_NOT_CONFIRMED: 409,
      COMPONENTS_UNVERIFIED: 409,
      ATTESTATION_REFUSED: 409,
      MODE_NOT_SECURE: 409,
      SUM_INVALID: 409,
      SUMS_UNUSABLE: 409,
      OPENING_INVALID: 409,
      DISPUTE_UNKNOWN: 409,
      RELEASE_INVALID: 409,
      PROJECTIONS_INVALID: 409,
      PAST_NUMBERS_MISSING: 409,
      REFERENCES_INVALID: 409,
      REFERENCES_INCOMPLETE: 409,
      DIRECTION_INVALID: 409,
      DIRECTION_MISMATCH: 409,
      ROUND_OUT_OF_ORDER: 409,
      BASE_MODEL_MISMATCH: 409,
      VALIDATOR_NOT_NAMED: 409,
      VALIDATION_DATA_FOREIGN: 409,
      VALIDATION_UNKNOWN: 404,
      OBJECT_MISSING: 503,
      CONTENT_HASH_MISMATCH: 503,
    },
    routes: (app) => {
      app.post('/statements/close', async (request, response) => {
        response.json(await attester.close(parsedBody(closeRequest, request.body)));
      });
      app.post('/statements/abort', async (request, response) => {
        const { reason, evidence, ...attempt } = parsedBody(abortRequest, request.body);
        response.json(await attester.abort(attempt, reason, evidence));
      });
      app.post('/statements/attest', async (request, response) => {
        response.json(await attester.attest(parsedBody(attestRequest, request.body).proposal));
      });
      app.post('/statements/cohort', async (request, response) => {
        response.json(await attester.cohort(parsedBody(cohortRequest, request.body)));
      });
      app.post('/statements/scores', async (request, response) => {
        response.json(await attester.scores(parsedBody(scoresRequest, request.body)));
      });
      app.post('/arbiter/key', async (request, response) => {
        response.json(await arbiter.prepare(parsedBody(keyRequest, request.body).ref));
      });
      app.post('/arbiter/opening', async (request, response) => {
        const { ref: attempt, baseModelHash, opening } = parsedBody(openingRequest, request.body);
        response.json(await arbiter.accept(attempt, baseModelHash, opening));
      });
      app.post('/arbiter/verdict', async (request, response) => {
        response.json(await arbiter.verdict(parsedBody(verdictRequest, request.body)));
      });
      if (validator !== undefined) {
        app.post('/validation/statement', async (request, response) => {
          const { baseModelHash, ...attempt } = parsedBody(validateRequest, request.body);
          response.json(await validator.validate(attempt, baseModelHash));
        });
        app.post('/validation/direction', async (request, response) => {
          response.json({ directionHash: await validator.publish(parsedBody(publishRequest, request.body)) });
        });
      }
      if (measurer !== undefined) {
        addCorrectionRoutes(app, measurer);
      }
      app.get('/healthz', (_request, response) => {
        response.json({ ok: true, service: 'attester', mspId: options.mspId });
      });
    },
  });
}
