// SPDX-License-Identifier: Apache-2.0
import { signedBy, type RoundOpening, type SignedBy } from '@sev/chaincode/api';
import type { z } from 'zod';
import { organisationNamed, type ConnectionProfile } from '../config/profile.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import type {
  AggregatorClient,
  Deal,
  IncidentDisclosure,
  Nonces,
  OpenedNumbers,
  OpenedProjections,
  PreparedPart,
  Release,
  Revealed,
  SignedHoldings,
  SignedSums,
} from './aggregator-client.js';
import {
  deals,
  holdings,
  incidentDisclosure,
  numbers,
  preparedPart,
  projections,
  release,
  revealed,
  sums,
} from './answers.js';
import { AggregatorConnection, type ConnectionOptions } from './connection.js';
import type { ClientIdentity } from './tls-agent.js';

/** Projections of the largest cohort come in one answer. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Another organisation's aggregator over HTTPS with mutual TLS. What it answers is of the right form; whether it is true
 * is for the caller to check: signatures, commitments and hashes are there for that.
 */
export class HttpAggregator implements AggregatorClient {
  readonly mspId: string;
  readonly #connection: AggregatorConnection;

  constructor(options: ConnectionOptions) {
    this.mspId = options.mspId;
    this.#connection = new AggregatorConnection(options);
  }

  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedPart> {
    return this.#ask('prepare', { ...attemptOf(ref), baseModelHash }, preparedPart);
  }

  deal(ref: AttemptRef, parts: readonly PreparedPart[]): Promise<readonly Deal[]> {
    return this.#ask('deal', { ...attemptOf(ref), parts }, deals);
  }

  accept(ref: AttemptRef, opening: RoundOpening, given: readonly Deal[]): Promise<SignedBy> {
    return this.#ask('accept', { ...attemptOf(ref), opening, deals: given }, signedBy);
  }

  holdings(ref: AttemptRef): Promise<SignedHoldings> {
    return this.#ask('holdings', attemptOf(ref), holdings);
  }

  reveal(ref: AttemptRef, nonces?: Nonces): Promise<Revealed> {
    return this.#ask('reveal', { ...attemptOf(ref), ...(nonces === undefined ? {} : { nonces }) }, revealed);
  }

  projections(ref: AttemptRef, nonces: Nonces, references?: readonly string[]): Promise<OpenedProjections> {
    const along = references === undefined ? {} : { references };
    return this.#ask('projections', { ...attemptOf(ref), nonces, ...along }, projections);
  }

  pastNumbers(ref: AttemptRef): Promise<OpenedNumbers> {
    return this.#ask('past-numbers', attemptOf(ref), numbers);
  }

  sums(ref: AttemptRef): Promise<SignedSums> {
    return this.#ask('sums', attemptOf(ref), sums);
  }

  publish(ref: AttemptRef): Promise<SignedSums['components']> {
    return this.#ask('publish', attemptOf(ref), sums.shape.components);
  }

  release(ref: AttemptRef, which: number): Promise<Release> {
    return this.#ask('release', { ...attemptOf(ref), component: which }, release);
  }

  disclose(incidentId: string, ref: AttemptRef): Promise<IncidentDisclosure> {
    return this.#ask('disclose', { incidentId, ...attemptOf(ref) }, incidentDisclosure);
  }

  /** Drops the connections. */
  close(): void {
    this.#connection.close();
  }

  #ask<T>(what: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#connection.ask(`/rounds/${what}`, body, schema, MAX_ANSWER_BYTES);
  }
}

/** Clients of the aggregators of these organisations, asked as this identity. */
export function aggregatorsAt(
  profile: ConnectionProfile,
  places: readonly { readonly organisation: string; readonly url: string }[],
  identity: ClientIdentity,
): HttpAggregator[] {
  return places.map(({ organisation, url }) => {
    const { mspId, gateway } = organisationNamed(profile, organisation);
    return new HttpAggregator({ mspId, url, tlsCaCert: gateway.tlsCaCert, identity });
  });
}
