// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import type { KeyPairPem } from '../types.js';
import { authenticateSecret, authenticateToken } from './authentication.js';
import { CertificateAuthority } from './authority.js';
import { coalesced } from './coalesced.js';
import type { Caller, CaContext } from './context.js';
import { caInfo, enroll, reenroll } from './enrollment.js';
import { CA_ERROR, CaError } from './errors.js';
import { ensureBootstrapRegistrar, getIdentity, listIdentities, modifyIdentity, register } from './registration.js';
import { CaRegistry } from './registry.js';
import {
  crlRequest,
  enrollmentRequest,
  modificationRequest,
  namedCa,
  parseBody,
  registrationRequest,
  revocationRequest,
} from './requests.js';
import { generateCrl, revoke } from './revocation.js';

const HOST = '127.0.0.1';
const BODY_LIMIT = '256kb';

/** What a CA needs to run. */
export interface CaServerConfig {
  readonly name: string;
  readonly identityCa: KeyPairPem;
  readonly tlsCa: KeyPairPem;
  readonly serverTls: KeyPairPem;
  /** Folder of registrations and revocations. */
  readonly dataDir: string;
  /** Port on loopback; 0 picks a free one. */
  readonly port: number;
  readonly registrar: { readonly enrollmentId: string; readonly enrollmentSecret: string };
  readonly enrollmentValidityMs: number;
  /** Given the list (PEM) of all revoked certificates: at start, and again before a revocation is answered. */
  readonly onRevocationList: (crlPem: string) => Promise<void>;
  readonly log?: (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;
}

/** A running CA. */
export interface CaServer {
  readonly port: number;
  close(): Promise<void>;
}

type Handler = (request: Request, body: Uint8Array) => unknown;

function rawBody(request: Request): Uint8Array {
  const body: unknown = request.body;
  return body instanceof Uint8Array ? body : new Uint8Array();
}

/** Refuses a request that names another CA, in its body or its query. */
function checkCaName(ca: CaContext, request: Request): void {
  const body = rawBody(request);
  const inQuery = request.query['ca'];
  const name = body.length > 0 ? parseBody(namedCa, body).caname : typeof inQuery === 'string' ? inQuery : '';
  // The client writes a missing name into the query as text.
  if (name !== '' && name !== 'undefined' && name !== 'null' && name !== ca.name) {
    throw new CaError(404, CA_ERROR.CA_NOT_FOUND, `CA '${name}' does not exist`);
  }
}

function routes(ca: CaContext, log: NonNullable<CaServerConfig['log']>): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.use((_request, response, next) => {
    // fabric-ca-client adds a listener to the connection with every call: on one that is kept they pile up.
    response.set('connection', 'close');
    next();
  });
  app.use(express.raw({ type: () => true, limit: BODY_LIMIT }));

  /** Runs a handler and answers in Fabric CA's envelope. */
  const answer = (status: number, handler: Handler): RequestHandler => {
    return async (request, response) => {
      checkCaName(ca, request);
      const result = await handler(request, rawBody(request));
      response.status(status).json({ result, errors: [], messages: [], success: true });
    };
  };
  const token = (request: Request, body: Uint8Array): Caller =>
    authenticateToken(ca, {
      authorization: request.get('authorization'),
      method: request.method,
      uri: request.originalUrl,
      body,
    });
  const id = (request: Request): string => String(request.params['id']);

  const api = express.Router();
  const info = answer(200, () => caInfo(ca));
  api.route('/cainfo').get(info).post(info);
  api.post(
    '/enroll',
    answer(201, async (request, body) =>
      enroll(ca, await authenticateSecret(ca, request.get('authorization')), parseBody(enrollmentRequest, body)),
    ),
  );
  const registration = answer(201, (request, body) =>
    register(ca, token(request, body), parseBody(registrationRequest, body)),
  );
  api.post(
    '/reenroll',
    answer(201, (request, body) => reenroll(ca, token(request, body), parseBody(enrollmentRequest, body))),
  );
  api.post('/register', registration);
  api.post(
    '/revoke',
    answer(200, (request, body) => revoke(ca, token(request, body), parseBody(revocationRequest, body))),
  );
  api.post(
    '/gencrl',
    answer(200, (request, body) => generateCrl(ca, token(request, body), parseBody(crlRequest, body))),
  );
  api
    .route('/identities')
    .get(answer(200, (request, body) => listIdentities(ca, token(request, body))))
    .post(registration);
  api
    .route('/identities/:id')
    .get(answer(200, (request, body) => getIdentity(ca, token(request, body), id(request))))
    .put(
      answer(200, (request, body) =>
        modifyIdentity(ca, token(request, body), id(request), parseBody(modificationRequest, body)),
      ),
    )
    .delete(
      answer(200, (request, body) => {
        token(request, body);
        throw new CaError(403, CA_ERROR.REMOVE_IDENTITY, 'Identity removal is disabled');
      }),
    );
  app.use('/api/v1', api);
  app.use((request) => {
    throw new CaError(
      404,
      CA_ERROR.UNKNOWN,
      `${request.method} ${request.path} is not supported by the embedded network`,
    );
  });
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    const refusal = asRefusal(error);
    const fields = {
      ca: ca.name,
      method: request.method,
      path: request.path,
      status: refusal.status,
      code: refusal.code,
    };
    log(refusal.status >= 500 ? 'error' : 'info', refusal.detail, fields);
    const errors = [{ code: refusal.code, message: refusal.message }];
    response.status(refusal.status).json({ result: '', errors, messages: [], success: false });
  });
  return app;
}

function asRefusal(error: unknown): CaError {
  if (error instanceof CaError) {
    return error;
  }
  const message = error instanceof Error ? error.message : String(error);
  // What the body parser throws carries an HTTP status of its own.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500) {
    return new CaError(error.status, CA_ERROR.BAD_BODY, message);
  }
  return new CaError(500, CA_ERROR.UNKNOWN, 'Internal error; see the log of the network', message);
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/**
 * Starts one organisation's CA: Fabric CA's REST API (`/api/v1`) over TLS on loopback.
 * @throws the system error EADDRINUSE when the port is taken
 */
export async function startCaServer(config: CaServerConfig): Promise<CaServer> {
  const log = config.log ?? (() => undefined);
  const registry = await CaRegistry.open(config.dataDir);
  try {
    const identityAuthority = await CertificateAuthority.open(config.identityCa);
    const ca: CaContext = {
      name: config.name,
      identityAuthority,
      tlsAuthority: await CertificateAuthority.open(config.tlsCa),
      registry,
      enrollmentValidityMs: config.enrollmentValidityMs,
      publishRevocations: coalesced(async () => {
        await config.onRevocationList(
          await identityAuthority.issueRevocationList(await registry.revokedCertificates()),
        );
      }),
    };
    await ensureBootstrapRegistrar(ca, config.registrar.enrollmentId, config.registrar.enrollmentSecret);
    await ca.publishRevocations();
    const { certificatePem: cert, privateKeyPem: key } = config.serverTls;
    const server = createServer({ cert, key, minVersion: 'TLSv1.2' }, routes(ca, log));
    const port = await listen(server, config.port);
    return {
      port,
      close: async () => {
        const closed = new Promise<void>((resolve) => {
          server.close(() => {
            resolve();
          });
        });
        server.closeIdleConnections();
        await closed;
        await registry.close();
      },
    };
  } catch (error) {
    await registry.close();
    throw error;
  }
}
