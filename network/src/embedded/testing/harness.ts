// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startEmbeddedNetwork } from '../network.js';
import type { EmbeddedNetwork, EmbeddedNetworkConfig } from '../types.js';
import { connectClient, type ClientOptions, type TestClient } from './client.js';
import { networkConfig, newConsortium, type OrganisationMaterial } from './consortium.js';

const MSP_IDS = ['AMSP', 'BMSP', 'CMSP'];
const DEADLINE_MS = 20_000;

/** A network of three organisations that lives as long as the surrounding `describe`. */
export class NetworkHarness {
  #dataDir: string | undefined;
  #network: EmbeddedNetwork | undefined;
  #consortium: OrganisationMaterial[] = [];
  readonly #overrides: Partial<EmbeddedNetworkConfig>;
  readonly #clients: TestClient[] = [];

  constructor(overrides: Partial<EmbeddedNetworkConfig> = {}) {
    this.#overrides = overrides;
  }

  get dataDir(): string {
    return present(this.#dataDir);
  }

  get network(): EmbeddedNetwork {
    return present(this.#network);
  }

  get consortium(): readonly OrganisationMaterial[] {
    return this.#consortium;
  }

  /** Starts the network, the first time with an empty ledger; this once with other settings, if they are given. */
  async start(overrides: Partial<EmbeddedNetworkConfig> = {}): Promise<void> {
    this.#dataDir ??= await mkdtemp(join(tmpdir(), 'embedded-'));
    if (this.#consortium.length === 0) {
      this.#consortium = await newConsortium(MSP_IDS);
    }
    const config = networkConfig(this.#dataDir, this.#consortium, { ...this.#overrides, ...overrides });
    this.#network = await startEmbeddedNetwork(config);
  }

  /** Stops the network; its ledger stays. */
  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) {
      client.close();
    }
    await this.#network?.close();
    this.#network = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    if (this.#dataDir !== undefined) {
      await rm(this.#dataDir, { recursive: true, force: true });
    }
  }

  /** A client of the gateway of one organisation, by its position. */
  client(position = 0, options: ClientOptions = {}): TestClient {
    const organisation = this.organisation(position);
    const port = this.network.gatewayPorts.get(organisation.mspId) ?? 0;
    const client = connectClient(organisation, port, options);
    this.#clients.push(client);
    return client;
  }

  organisation(position: number): OrganisationMaterial {
    return present(this.#consortium[position]);
  }
}

/** Starts a network before the tests of a `describe` and removes it after them. */
export function useNetwork(overrides: Partial<EmbeddedNetworkConfig> = {}): NetworkHarness {
  const harness = new NetworkHarness(overrides);
  before(() => harness.start());
  after(() => harness.remove());
  return harness;
}

/** Polls until something is there. @throws Error after the deadline. */
export async function eventually<T>(what: string, poll: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const found = await poll();
    if (found !== undefined) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited in vain: ${what}`);
    }
    await delay(10);
  }
}

/** The error that a promise rejects with. @throws Error where it does not reject. */
export async function rejection<E extends Error>(promise: Promise<unknown>): Promise<E> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof Error) {
    return outcome as E;
  }
  throw new Error('expected a rejection');
}

function present<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new Error('the network is not started');
  }
  return value;
}
