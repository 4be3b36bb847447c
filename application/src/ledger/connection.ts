// SPDX-License-Identifier: Apache-2.0
import * as grpc from '@grpc/grpc-js';
import { InFlightLimit } from './in-flight.js';

/**
 * One HTTP/2 connection for each gateway and process, however many identities speak over it; gRPC opens it again by
 * itself. The pauses between its attempts are short, since a restarted network is back within a second or two.
 */
const OPTIONS: grpc.ClientOptions = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A peer closes connections that are pinged more often than once a minute.
  'grpc.keepalive_time_ms': 120_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.max_receive_message_length': 100 * 1024 * 1024,
  'grpc.max_send_message_length': 100 * 1024 * 1024,
};

/**
 * Calls that one process has under way at one gateway. More bring no more throughput and much more waiting, and a peer
 * refuses what exceeds its own limit.
 */
const MAX_IN_FLIGHT = 50;

interface Shared {
  readonly client: grpc.Client;
  readonly limit: InFlightLimit;
  users: number;
}

const connections = new Map<string, Shared>();

export interface Connection {
  readonly client: grpc.Client;
  /** Shared by all sessions of the process that use this gateway. */
  readonly limit: InFlightLimit;
  /** Gives the connection up; the last user closes it. */
  release(): void;
}

/**
 * @param address `localhost:port` of the gateway.
 * @param tlsCaCert PEM of the root that the gateway's TLS certificate chains to.
 */
export function connect(address: string, tlsCaCert: string): Connection {
  const key = `${address}\n${tlsCaCert}`;
  let shared = connections.get(key);
  if (shared === undefined) {
    const credentials = grpc.credentials.createSsl(Buffer.from(tlsCaCert));
    shared = {
      client: new grpc.Client(address, credentials, OPTIONS),
      limit: new InFlightLimit(MAX_IN_FLIGHT),
      users: 0,
    };
    connections.set(key, shared);
  }
  const held = shared;
  held.users += 1;
  let released = false;
  return {
    client: held.client,
    limit: held.limit,
    release: () => {
      if (released) {
        return;
      }
      released = true;
      held.users -= 1;
      if (held.users === 0) {
        connections.delete(key);
        held.client.close();
      }
    },
  };
}
