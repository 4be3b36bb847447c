// SPDX-License-Identifier: Apache-2.0
import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import {
  aggregatorOpening,
  attemptNumber,
  hash,
  identifier,
  mspId,
  roundNumber,
  roundOpening,
  scoreRound,
  scores,
  signature,
  type Role,
  type SignedBy,
} from '@sev/chaincode/api';
import type { Express, Request, RequestHandler } from 'express';
import { z } from 'zod';
import {
  asProblem,
  boundRequests,
  jsonBody,
  parsedBody,
  startHttpServer,
  type HttpServer,
  type ServerTls,
} from '../services/http-server.js';
import { SevError } from '../errors.js';
import type { ServiceLog } from '../services/log.js';
import { addHeRoutes, HE_STATUS } from '../homomorphic/routes.js';
import type { HeParty } from '../homomorphic/party.js';
import type { Aggregator } from './aggregator.js';
import { AggregatorMetrics } from './metrics.js';
import type { OrganisationGate } from './organisation-gate.js';
import { SEVERAL_SHARES_PATH, severalShares, shareSubmission } from './share-submission.js';

const ref = { taskId: identifier, round: roundNumber, attempt: attemptNumber };
const base64 = z.base64().max(65_536);
const preparedPart = z.strictObject({ part: aggregatorOpening, signature });
const deal = z.strictObject({ from: mspId, to: mspId, sealed: base64 });
const nonces = scoreRound.shape.nonces;

const attemptRequest = z.strictObject(ref);
const prepareRequest = z.strictObject({ ...ref, baseModelHash: hash });
const dealRequest = z.strictObject({ ...ref, parts: z.array(preparedPart).max(7) });
const acceptRequest = z.strictObject({ ...ref, opening: roundOpening, deals: z.array(deal).max(7) });
const revealRequest = z.strictObject({ ...ref, nonces: nonces.optional() });
const projectionsRequest = z.strictObject({ ...ref, nonces, references: scores.shape.references });
const discloseRequest = z.strictObject({ incidentId: identifier, ...ref });
const releaseRequest = z.strictObject({ ...ref, component: z.int().min(0).max(63) });

/** Largest body of a vehicle: a share is at most a few kilobytes. */
const SHARE_BODY_BYTES = 32 * 1024;
/** Largest body of several vehicles that post together. */
const SEVERAL_SHARES_BODY_BYTES = 512 * 1024;
/** Largest body of an organisation: openings and deals of seven aggregators. */
const ORGANISATION_BODY_BYTES = 1024 * 1024;
/** Shares, together or one by one, and requests of organisations under way, so that vehicles do not keep organisations out. */
const MAX_SHARES = 512;
const MAX_ORGANISATION_REQUESTS = 64;

/** Who takes part in rounds for its organisation. */
const ROUND_ROLES: readonly Role[] = ['coordinator', 'attester', 'aggregator'];
/** Releases are sealed to the arbiter, whose program may fetch them itself. */
const RELEASE_ROLES: readonly Role[] = [...ROUND_ROLES, 'auditor'];

/** Whoever votes for an organisation, or measures for it, looks at the evidence. */
const DISCLOSURE_ROLES: readonly Role[] = [...RELEASE_ROLES, 'operator'];

export interface AggregatorServerOptions {
  readonly aggregator: Aggregator;
  /** The organisation's part in rounds of mode `he`. */
  readonly party?: HeParty;
  readonly gate: OrganisationGate;
  readonly tls: ServerTls;
  readonly host?: string;
  readonly port?: number;
  /** Shares under way, at the most; default 512. */
  readonly maxShares?: number;
  readonly log: ServiceLog;
}

/**
 * Serves over HTTPS: `POST /shares` and `/shares/several` to vehicles, which their envelope's signature authenticates; `POST /rounds/prepare`,
 * `deal`, `accept`, `holdings`, `reveal`, `projections`, `past-numbers`, `sums`, `publish`, `release` and `disclose` to organisations, which show
 * their certificate; `GET /healthz` and `GET /metrics`. Refusals are `{code, detail}`.
 *
 * @throws SevError PORT_IN_USE.
 */
export function startAggregatorServer(options: AggregatorServerOptions): Promise<HttpServer> {
  const { aggregator, gate, maxShares = MAX_SHARES } = options;
  const metrics = new AggregatorMetrics();
  let sharesUnderWay = 0;
  const takeShare = (body: unknown): Promise<SignedBy> =>
    metrics.share(async () => {
      if (sharesUnderWay >= maxShares) {
        throw new SevError('SERVICE_BUSY', `${String(maxShares)} shares are under way`);
      }
      sharesUnderWay++;
      try {
        return await aggregator.submitShare(parsedBody(shareSubmission, body));
      } finally {
        sharesUnderWay--;
      }
    });
  return startHttpServer({
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    tls: options.tls,
    log: options.log,
    maxRequests: maxShares + 2 * MAX_ORGANISATION_REQUESTS,
    readsBodies: false,
    statusOf: { ...STATUS, ...HE_STATUS },
    routes: (app) => {
      const bounded = boundRequests(maxShares, () => {
        metrics.busy();
      });
      app.post('/shares', bounded, jsonBody(SHARE_BODY_BYTES), async (request, response) => {
        response.json(await takeShare(request.body));
      });
      app.post(SEVERAL_SHARES_PATH, bounded, jsonBody(SEVERAL_SHARES_BODY_BYTES), async (request, response) => {
        const { shares } = parsedBody(severalShares, request.body);
        const answers = shares.map((share) => answerOf(() => takeShare(share)));
        response.json({ answers: await Promise.all(answers) });
      });
      addRounds(app, aggregator, gate, metrics);
      if (options.party !== undefined) {
        addHeRoutes(app, options.party, (roles) => async (request, _response, next) => {
          await metrics.request('he admission', () => gate.admit(certificateOf(request), roles));
          next();
        });
      }
      app.get('/metrics', async (_request, response) => {
        response.type(metrics.contentType).send(await metrics.text());
      });
      app.get('/healthz', (_request, response) => {
        response.json({ ok: true, service: 'aggregator', mspId: aggregator.mspId });
      });
    },
  });
}

/** What a request for this alone would have been answered. */
async function answerOf(work: () => Promise<unknown>): Promise<{ status: number; body: unknown }> {
  try {
    return { status: 200, body: await work() };
  } catch (error) {
    const { status, code, detail } = asProblem(error, STATUS);
    return { status, body: { code, detail } };
  }
}

/** Each asks for the certificate before it reads a body. */
function addRounds(app: Express, aggregator: Aggregator, gate: OrganisationGate, metrics: AggregatorMetrics): void {
  const bounded = boundRequests(MAX_ORGANISATION_REQUESTS);
  const read = jsonBody(ORGANISATION_BODY_BYTES);
  const offer = <T>(
    name: string,
    schema: z.ZodType<T>,
    work: (body: T) => Promise<unknown>,
    roles: readonly Role[] = ROUND_ROLES,
  ): void => {
    const admit: RequestHandler = async (request, _response, next) => {
      await metrics.request(`${name} admission`, () => gate.admit(certificateOf(request), roles));
      next();
    };
    app.post(`/rounds/${name}`, bounded, admit, read, async (request, response) => {
      response.json(await metrics.request(name, async () => work(parsedBody(schema, request.body))));
    });
  };
  offer('prepare', prepareRequest, ({ baseModelHash, ...attempt }) => aggregator.prepare(attempt, baseModelHash));
  offer('deal', dealRequest, ({ parts, ...attempt }) => aggregator.deal(attempt, parts));
  offer('accept', acceptRequest, ({ opening, deals, ...attempt }) => aggregator.accept(attempt, opening, deals));
  offer('holdings', attemptRequest, (attempt) => aggregator.holdings(attempt));
  offer('reveal', revealRequest, ({ nonces: given, ...attempt }) => aggregator.reveal(attempt, given));
  offer('projections', projectionsRequest, ({ nonces: given, references, ...attempt }) =>
    aggregator.projections(attempt, given, references),
  );
  offer('past-numbers', attemptRequest, (attempt) => aggregator.pastNumbers(attempt));
  offer('sums', attemptRequest, (attempt) => aggregator.sums(attempt));
  offer('publish', attemptRequest, (attempt) => aggregator.publish(attempt));
  offer(
    'release',
    releaseRequest,
    ({ component, ...attempt }) => aggregator.release(attempt, component),
    RELEASE_ROLES,
  );
  offer(
    'disclose',
    discloseRequest,
    ({ incidentId, ...attempt }) => aggregator.disclose(incidentId, attempt),
    DISCLOSURE_ROLES,
  );
}

/** The handshake has shown that the caller holds the certificate's key. */
function certificateOf({ socket }: Request): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

const STATUS: Readonly<Record<string, number>> = {
  CLIENT_CERTIFICATE_MISSING: 401,
  CLIENT_CERTIFICATE_FOREIGN: 401,
  ACCESS_DENIED: 403,
  SIGNATURE_INVALID: 401,
  VEHICLE_UNKNOWN: 403,
  VEHICLE_NOT_ACTIVE: 403,
  TASK_UNKNOWN: 404,
  ATTEMPT_UNKNOWN: 404,
  OPENING_UNKNOWN: 404,
  DISPUTE_UNKNOWN: 404,
  INCIDENT_UNKNOWN: 404,
  AGGREGATOR_NOT_NAMED: 409,
  ARBITER_MISSING: 409,
  BASE_MODEL_MISMATCH: 409,
  COMPONENT_NOT_HELD: 409,
  INCIDENT_INVALID: 409,
  INCIDENT_STATE: 409,
  MODE_NOT_SECURE: 409,
  NUMBERS_MISMATCH: 409,
  PROJECTIONS_NONE: 409,
  REFERENCES_INCOMPLETE: 409,
  ROUND_CONFLICT: 409,
  ROUND_OUT_OF_ORDER: 409,
  ROUND_STALE: 409,
  ROUND_STATE: 409,
  SHARE_CONFLICT: 409,
  SHARE_LOST: 409,
  STATEMENT_CONFLICT: 409,
  SUMS_MISMATCH: 409,
  DEAL_INVALID: 422,
  DEAL_MISSING: 422,
  NONCES_INVALID: 422,
  OPENING_INVALID: 422,
  PART_INVALID: 422,
  DIRECTION_INVALID: 422,
  DIRECTION_MISMATCH: 422,
  REFERENCES_INVALID: 422,
  OBJECT_MISSING: 503,
  SHARE_INCOMPLETE: 422,
  SHARE_MALFORMED: 422,
  SHARE_MISMATCH: 422,
  SHARE_UNREADABLE: 422,
  STORAGE_FULL: 507,
};
