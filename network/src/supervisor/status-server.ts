// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { NetworkError } from '../errors.js';
import { controlRequestSchema, type ControlRequest } from './control.js';
import type { BackgroundProcess, LiveStatus } from './handshake.js';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** What the commands of a network's operator may ask of its process. */
export interface Answers {
  status(): Promise<LiveStatus>;
  control(request: ControlRequest): Promise<void>;
}

async function answer(request: IncomingMessage, answers: Answers): Promise<unknown> {
  if (request.method !== 'POST') {
    return answers.status();
  }
  await answers.control(controlRequestSchema.parse(await json(request)));
  return {};
}

/** Answers the operator's commands on a free port of loopback: those who know the token. */
export async function startStatusServer(
  answers: Answers,
): Promise<{ address: NonNullable<BackgroundProcess['status']>; close(): Promise<void> }> {
  const token = randomBytes(24).toString('base64url');
  const expected = digest(`Bearer ${token}`);
  const server = createServer((request, response) => {
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      response.writeHead(401).end();
      return;
    }
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    answer(request, answers).then(
      (body) => {
        reply(200, body);
      },
      (error: unknown) => {
        const code = error instanceof NetworkError ? error.code : 'NETWORK_START_FAILED';
        reply(409, { code, message: error instanceof Error ? error.message : String(error) });
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: { url: `http://127.0.0.1:${port.toString()}/status`, token },
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      server.closeAllConnections();
      await closed;
    },
  };
}
