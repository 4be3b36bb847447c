// SPDX-License-Identifier: Apache-2.0
import { connect } from 'node:net';
import { once } from 'node:events';

/** A machine under load answers late; one that is down refuses at once. */
const TIMEOUT_MS = 10_000;

/** What a program tells in Prometheus's text format: values by name, with the labels as they are written. */
export type Metrics = ReadonlyMap<string, number>;

/** Parses Prometheus's text format (exposition format 0.0.4); comments and time stamps are dropped. */
export function parseMetrics(text: string): Metrics {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?)\s+(\S+)/.exec(line);
    if (match !== null) {
      values.set(match[1] ?? '', Number(match[2]));
    }
  }
  return values;
}

const operations = async (port: number, path: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${port.toString()}${path}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });

/** What an operations endpoint tells; nothing where it does not answer. */
export async function readMetrics(port: number): Promise<Metrics | undefined> {
  try {
    return parseMetrics(await (await operations(port, '/metrics')).text());
  } catch {
    // Whoever does not answer has nothing to tell; another check says that it does not.
    return undefined;
  }
}

/** What is wrong with a process by its own account, or that it gives none; nothing where it is well. */
export async function healthProblem(port: number): Promise<string | undefined> {
  try {
    const response = await operations(port, '/healthz');
    const text = await response.text();
    return response.ok ? undefined : `says ${response.status.toString()}: ${text.slice(0, 300)}`;
  } catch (error) {
    return `gives no answer on port ${port.toString()}: ${reasonOf(error)}`;
  }
}

/** Whether somebody takes connections at an address. */
export async function takesConnections(host: string, port: number): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return true;
  } catch {
    // Refused, unreachable, timed out: nobody takes connections.
    return false;
  } finally {
    socket.destroy();
  }
}

/** What `fetch` hides: its own message says no more than that it failed. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') {
    return `${cause.code}${cause.message === '' ? '' : ` (${cause.message})`}`;
  }
  return cause instanceof Error ? cause.message : String(cause);
}
