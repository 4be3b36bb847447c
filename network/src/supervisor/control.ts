// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { NETWORK_ERROR_CODES, NetworkError, type NetworkErrorCode } from '../errors.js';
import { livingProcess } from './handshake.js';
import type { NetworkPaths } from './paths.js';

/** What a running network can be told by the commands of its operator. */
export const controlRequestSchema = z.discriminatedUnion('action', [
  /** Stops and starts processes by name, one after the other. */
  z.object({ action: z.literal('restart'), nodes: z.array(z.string()) }),
  /** Stops processes by name; they stay down until they are restarted. */
  z.object({ action: z.literal('stop'), nodes: z.array(z.string()) }),
  /** Looks which chaincode packages are deployed: starts the processes that are missing, stops those of no use. */
  z.object({ action: z.literal('chaincodes') }),
]);

export type ControlRequest = Readonly<z.infer<typeof controlRequestSchema>>;

/** How long a running network may take over it. */
const CONTROL_TIMEOUT_MS = 120_000;

const refusal = z.object({ code: z.string(), message: z.string() });

/**
 * Tells the running network of a home to do something, and waits until it is done.
 * @throws NetworkError NETWORK_NOT_RUNNING, NOT_SUPPORTED, and what the network refuses it with
 */
export async function controlNetwork(paths: NetworkPaths, request: ControlRequest): Promise<void> {
  const background = await livingProcess(paths);
  if (background?.status === undefined) {
    throw new NetworkError('NETWORK_NOT_RUNNING', `the network in ${paths.home} is not running; bring it up first`);
  }
  const response = await fetch(new URL('/control', background.status.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${background.status.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(request),
    signal: AbortSignal.timeout(CONTROL_TIMEOUT_MS),
  });
  if (response.ok) {
    return;
  }
  const { code, message } = refusal.parse(await response.json());
  throw new NetworkError(code in NETWORK_ERROR_CODES ? (code as NetworkErrorCode) : 'NETWORK_START_FAILED', message);
}
