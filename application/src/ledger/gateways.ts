// SPDX-License-Identifier: Apache-2.0
import {
  connect as connectGateway,
  hash,
  type CloseableAsyncIterable,
  type Gateway,
  type Identity,
  type Network,
  type Signer,
} from '@hyperledger/fabric-gateway';
import { organisationNamed, type ConnectionProfile, type OrganisationProfile } from '../config/profile.js';
import { connect, type Connection } from './connection.js';
import { Failover } from './failover.js';
import { failureOf } from './outcome.js';
import { reopening } from './streams.js';
import type { Timeouts } from './submit.js';

/** Time in which a gateway must deliver a block before it takes over from another. */
const FITNESS_MS = 2_000;

/** One organisation's gateway, as one identity uses it. */
export interface Endpoint {
  readonly connection: Connection;
  readonly gateway: Gateway;
  readonly network: Network;
}

export interface GatewaysOptions {
  readonly profile: ConnectionProfile;
  /** MSP id or name of the organisation whose gateway comes first. */
  readonly preferred: string;
  readonly identity: Identity;
  readonly signer: Signer;
  readonly timeouts: Timeouts;
}

/**
 * All organisations' gateways: one's own as long as it answers, else another one's until it is back. A gateway takes
 * over only when its peer has the last block that was heard of, so nobody reads back in time.
 */
export class Gateways {
  readonly #options: GatewaysOptions;
  readonly #endpoints: readonly Endpoint[];
  readonly #failover: Failover<Endpoint>;
  #lastBlock = 0n;

  /** @throws SevError ORGANISATION_UNKNOWN */
  constructor(options: GatewaysOptions) {
    this.#options = options;
    const { profile, preferred } = options;
    const first = organisationNamed(profile, preferred);
    const others = profile.organisations.filter((organisation) => organisation !== first);
    const endpoint = this.#open(first);
    const rest = others.map((organisation) => this.#open(organisation));
    this.#endpoints = [endpoint, ...rest];
    this.#failover = new Failover([endpoint, ...rest], (candidate) => this.#isFit(candidate));
  }

  /** The gateway to use now. */
  current(): Endpoint {
    return this.#failover.current();
  }

  /** Says that a block with this number exists. */
  heardOf(block: bigint): void {
    this.#lastBlock = block > this.#lastBlock ? block : this.#lastBlock;
  }

  /** Makes one call; where the gateway does not answer it fails, and the next call goes to another one. */
  async call<T>(call: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    const endpoint = this.current();
    try {
      return await call(endpoint);
    } catch (error) {
      const { outcome } = failureOf(error);
      if (outcome === 'unavailable' || outcome === 'timeout') {
        await this.#failover.leave(endpoint);
      }
      throw error;
    }
  }

  /** Does a piece of work, all its calls included, when the gateway at hand has a place for it. */
  inFlight<T>(work: () => Promise<T>): Promise<T> {
    return this.current().connection.limit.run(work);
  }

  /** Reads a stream, opening it again after every break, at another gateway where that is better. */
  stream<T>(
    open: (endpoint: Endpoint) => Promise<CloseableAsyncIterable<T>>,
    signal: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    let endpoint = this.current();
    const reopen = (): Promise<CloseableAsyncIterable<T>> => {
      endpoint = this.current();
      return open(endpoint);
    };
    return reopening(reopen, signal, () => this.#failover.leave(endpoint));
  }

  close(): void {
    for (const { gateway, connection } of this.#endpoints) {
      gateway.close();
      connection.release();
    }
  }

  /** Nothing is sent yet: gRPC connects with the first call. */
  #open(organisation: OrganisationProfile): Endpoint {
    const { identity, signer, timeouts, profile } = this.#options;
    const connection = connect(organisation.gateway.address, organisation.gateway.tlsCaCert);
    const gateway = connectGateway({
      client: connection.client,
      identity,
      signer,
      hash: hash.none,
      evaluateOptions: () => deadline(timeouts.evaluateMs),
      endorseOptions: () => deadline(timeouts.endorseMs),
      submitOptions: () => deadline(timeouts.submitMs),
    });
    return { connection, gateway, network: gateway.getNetwork(profile.channel) };
  }

  /** True where the gateway's peer has, or soon gets, the last block that was heard of. */
  async #isFit({ network }: Endpoint): Promise<boolean> {
    const request = network.newBlockEventsRequest({ startBlock: this.#lastBlock });
    try {
      const blocks = await request.getEvents(deadline(FITNESS_MS));
      try {
        for await (const _block of blocks) {
          return true;
        }
      } finally {
        blocks.close();
      }
    } catch {
      // Whatever it says instead of a block, it is not fit; the caller's own call has told what is wrong.
    }
    return false;
  }
}

/** Options of a call that must end within so many milliseconds. */
export function deadline(ms: number): { deadline: number } {
  return { deadline: Date.now() + ms };
}
