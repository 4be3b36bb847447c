// SPDX-License-Identifier: Apache-2.0
import { attemptNumber, commitHeSum, hash, heOpening, identifier, roundNumber, type Role } from '@sev/chaincode/api';
import type { Express, RequestHandler } from 'express';
import { z } from 'zod';
import { bodyWithin, boundRequests, jsonBody, parsedBody } from '../services/http-server.js';
import type { HeParty } from './party.js';
import { HE_REPORT_BODY_BYTES, heSubmission } from './report-message.js';

const ref = { taskId: identifier, round: roundNumber, attempt: attemptNumber };
const attemptRequest = z.strictObject(ref);
const prepareRequest = z.strictObject({ ...ref, baseModelHash: hash });
const acceptRequest = z.strictObject({ ...ref, opening: heOpening });
const decryptRequest = z.strictObject({ ...ref, sum: commitHeSum.shape.sum });

/** Base64 is a third larger, and an envelope comes beside it. */
const BODY_BYTES = HE_REPORT_BODY_BYTES + 64 * 1024;
const ORGANISATION_BODY_BYTES = 64 * 1024;
/** Reports under way: each may be large, and nobody is known before it is read. */
const MAX_REPORTS = 32;
/** How long a report may take to come: 16 MB at 13 Mbit/s. */
const REPORT_MS = 10_000;
const MAX_ORGANISATION_REQUESTS = 32;
const ROUND_ROLES: readonly Role[] = ['coordinator', 'attester', 'aggregator'];

/** Lets a request through whose certificate is of an organisation's program with one of these roles. */
export type Admission = (roles: readonly Role[]) => RequestHandler;

/**
 * Adds to an aggregator's server: `POST /he/shares` for vehicles, which their envelope's signature authenticates; `POST
 * /he/prepare`, `accept`, `holdings`, `sum`, `masks`, `decrypt` and `publish` for organisations.
 */
export function addHeRoutes(app: Express, party: HeParty, admission: Admission): void {
  const taking = [boundRequests(MAX_REPORTS), bodyWithin(REPORT_MS), jsonBody(BODY_BYTES)];
  app.post('/he/shares', ...taking, async (request, response) => {
    response.json(await party.submitReport(parsedBody(heSubmission, request.body)));
  });
  const guarded = [boundRequests(MAX_ORGANISATION_REQUESTS), admission(ROUND_ROLES), jsonBody(ORGANISATION_BODY_BYTES)];
  const offer = <T>(name: string, schema: z.ZodType<T>, work: (body: T) => Promise<unknown>): void => {
    app.post(`/he/${name}`, ...guarded, async (request, response) => {
      response.json(await work(parsedBody(schema, request.body)));
    });
  };
  offer('prepare', prepareRequest, ({ baseModelHash, ...attempt }) => party.prepare(attempt, baseModelHash));
  offer('accept', acceptRequest, ({ opening, ...attempt }) => party.accept(attempt, opening));
  offer('holdings', attemptRequest, (attempt) => party.holdings(attempt));
  offer('sum', attemptRequest, (attempt) => party.sum(attempt));
  offer('masks', attemptRequest, (attempt) => party.masks(attempt));
  offer('decrypt', decryptRequest, ({ sum, ...attempt }) => party.decrypt(attempt, sum));
  offer('publish', attemptRequest, (attempt) => party.publish(attempt));
}

/** HTTP status of refusals in mode `he`; see `startHttpServer`. */
export const HE_STATUS: Readonly<Record<string, number>> = {
  ALREADY_OPENED: 409,
  COHORT_TOO_SMALL: 409,
  KEY_HOLDER_LOST: 409,
  MODE_NOT_HE: 409,
  PART_NOT_HELD: 409,
  CIPHERTEXT_MALFORMED: 422,
  KEY_MISMATCH: 422,
  MASK_MISMATCH: 422,
  NOISE_EXHAUSTED: 422,
  REPORT_MISMATCH: 422,
  SUM_INVALID: 422,
};
