// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BackgroundProcess, LiveStatus } from './handshake.js';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Answers for the status of the network on a free port of loopback, to those who know the token. */
export async function startStatusServer(
  status: () => Promise<LiveStatus>,
): Promise<{ address: NonNullable<BackgroundProcess['status']>; close(): Promise<void> }> {
  const token = randomBytes(24).toString('base64url');
  const expected = digest(`Bearer ${token}`);
  const server = createServer((request, response) => {
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      response.writeHead(401).end();
      return;
    }
    status().then(
      (live) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(live)),
      () => response.writeHead(500).end(),
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
