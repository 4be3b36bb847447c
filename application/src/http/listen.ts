// SPDX-License-Identifier: Apache-2.0
import type { Server } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { EXIT, SevError, systemCode } from '../errors.js';

/**
 * Lets a server listen.
 *
 * @param port 0 picks any free one.
 * @returns its address, `http://127.0.0.1:1234`, or with `https` for a server of TLS.
 * @throws SevError PORT_IN_USE.
 */
export async function listen(server: Server | HttpsServer, port: number, host: string): Promise<string> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE') {
      throw error;
    }
    throw new SevError('PORT_IN_USE', `Port ${String(port)} on ${host} is in use`, {
      hint: 'Take another with --port, or 0 for any free one.',
      exitCode: EXIT.usage,
      cause: error,
    });
  }
  const address = server.address() as AddressInfo;
  const scheme = server instanceof HttpsServer ? 'https' : 'http';
  return `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${String(address.port)}`;
}

/** Stops listening, waits for requests under way, drops idle connections. */
export function closeServer(server: Server | HttpsServer): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => {
      if (error === undefined || systemCode(error) === 'ERR_SERVER_NOT_RUNNING') {
        resolve();
      } else {
        reject(error);
      }
    });
    server.closeIdleConnections();
  });
}
