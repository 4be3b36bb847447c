// SPDX-License-Identifier: Apache-2.0
import {
  commitHeSum,
  fixCohort,
  hash,
  heOpening,
  signedBy,
  type CommitHeSum,
  type FixCohort,
  type HeOpening,
  type SignedBy,
} from '@sev/chaincode/api';
import { z } from 'zod';
import { AggregatorConnection, type ConnectionOptions } from '../aggregator/connection.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import type { HePartyClient, PreparedHePart } from './party-client.js';

const part = z.union([
  z.strictObject({}),
  heOpening.pick({ publicKeyHash: true }),
  heOpening.pick({ sealingKey: true }),
]);
const { sum, masks, masked } = commitHeSum.shape;
const published = z.strictObject({ hash });

/**
 * Another organisation's part in mode `he`, over HTTPS with mutual TLS, at the address of its aggregator. What it answers is
 * of the right form; whether it is true is for the caller to check.
 */
export class HttpHeParty implements HePartyClient {
  readonly mspId: string;
  readonly #connection: AggregatorConnection;

  constructor(options: ConnectionOptions) {
    this.mspId = options.mspId;
    this.#connection = new AggregatorConnection(options);
  }

  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedHePart> {
    return this.#ask('prepare', { ...attemptOf(ref), baseModelHash }, part);
  }

  accept(ref: AttemptRef, opening: HeOpening): Promise<SignedBy> {
    return this.#ask('accept', { ...attemptOf(ref), opening }, signedBy);
  }

  holdings(ref: AttemptRef): Promise<FixCohort['holdings'][number]> {
    return this.#ask('holdings', attemptOf(ref), fixCohort.shape.holdings.element);
  }

  sum(ref: AttemptRef): Promise<CommitHeSum['sum']> {
    return this.#ask('sum', attemptOf(ref), sum);
  }

  masks(ref: AttemptRef): Promise<CommitHeSum['masks']> {
    return this.#ask('masks', attemptOf(ref), masks);
  }

  decrypt(ref: AttemptRef, of: CommitHeSum['sum']): Promise<CommitHeSum['masked']> {
    return this.#ask('decrypt', { ...attemptOf(ref), sum: of }, masked);
  }

  publish(ref: AttemptRef): Promise<{ readonly hash: string }> {
    return this.#ask('publish', attemptOf(ref), published);
  }

  /** Drops the connections. */
  close(): void {
    this.#connection.close();
  }

  #ask<T>(what: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#connection.ask(`/he/${what}`, body, schema);
  }
}
