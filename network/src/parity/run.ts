// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Normaliser } from './normalise.js';
import { everywhere } from './observe.js';
import {
  PARITY_MSP_IDS,
  type Observation,
  type ParityClient,
  type ParityNetwork,
  type Scenario,
  type ScenarioContext,
} from './scenario.js';

const SETTLE_DEADLINE_MS = 120_000;
const SETTLE_POLL_MS = 200;

/** Runs a scenario with keys and clients of its own. @throws what is not an answer of the network. */
export async function runScenario(network: ParityNetwork, scenario: Scenario): Promise<Observation> {
  const runId = randomBytes(6).toString('hex');
  const clients: ParityClient[] = [];
  const honest = new Map<number, ParityClient>();
  const connect: ScenarioContext['client'] = (organisation = 0, options) => {
    const existing = options === undefined ? honest.get(organisation) : undefined;
    if (existing !== undefined) {
      return existing;
    }
    const client = network.connect(organisation, options);
    clients.push(client);
    if (options === undefined) {
      honest.set(organisation, client);
    }
    return client;
  };
  const context: ScenarioContext = {
    network,
    normaliser: new Normaliser(runId),
    key: (suffix = '') => `${runId}-${suffix}`,
    client: connect,
    settle: () => settle(context),
  };
  try {
    return await scenario.run(context);
  } finally {
    for (const client of clients) {
      client.close();
    }
  }
}

async function settle(context: ScenarioContext): Promise<void> {
  const endMs = Date.now() + SETTLE_DEADLINE_MS;
  for (;;) {
    try {
      const { contract } = context.client();
      const options = { arguments: [context.key('settled'), 'x'], endorsingOrganizations: [...PARITY_MSP_IDS] };
      await everywhere(context, await contract.submitAsync('put', options));
      return;
    } catch (error) {
      if (Date.now() > endMs) {
        throw new Error('the network did not recover', { cause: error });
      }
      await delay(SETTLE_POLL_MS);
    }
  }
}
