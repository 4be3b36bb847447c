// SPDX-License-Identifier: Apache-2.0
import { Agent } from 'node:https';
import { checkServerIdentity } from 'node:tls';

/** Enrollment id of aggregators, which their organisation's TLS CA puts into their certificates as the common name. */
const AGGREGATOR = 'aggregator';

/**
 * Connections at a time to one aggregator. A pool sends the shares of all its vehicles at once; a handshake for each would
 * cost more than the share itself, and those waiting for a connection of these few are done sooner.
 */
const MAX_CONNECTIONS = 8;

/** A client's certificate and key, PEM. */
export interface ClientIdentity {
  readonly certificate: string;
  readonly privateKey: string;
}

/**
 * Connections to one organisation's aggregator, kept alive. The server's certificate must be of the organisation's TLS CA
 * and name the aggregator: whoever else the CA gave a certificate for this host is not it.
 *
 * @param tlsCaCert root of the organisation's TLS CA, PEM.
 * @param identity shown to the server; a vehicle shows none.
 */
export function aggregatorAgent(tlsCaCert: string, identity?: ClientIdentity): Agent {
  return new Agent({
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS,
    ca: tlsCaCert,
    minVersion: 'TLSv1.3',
    ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.privateKey }),
    checkServerIdentity: (host, certificate) =>
      checkServerIdentity(host, certificate) ??
      (certificate.subject.CN === AGGREGATOR ? undefined : new Error('the certificate is not an aggregator’s')),
  });
}
