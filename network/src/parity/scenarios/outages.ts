// SPDX-License-Identifier: Apache-2.0
import { answer, endorse, statusName, submit, taken } from '../observe.js';
import { setTimeout as delay } from 'node:timers/promises';
import type { Contract } from '@hyperledger/fabric-gateway';
import { ANY_ORGANISATION } from '../normalise.js';
import { scenarios, type ScenarioContext } from '../scenario.js';

const FORGET_DEADLINE_MS = 30_000;
const POLL_MS = 100;

/** Nodes that are not there. */
export const outageScenarios = scenarios('outage', {
  'of all orderers': async (context) => {
    const { contract } = context.client();
    const transaction = await contract.newProposal('put', { arguments: [context.key(), 'x'] }).endorse();
    const restart = await context.network.stopOrderers(4);
    try {
      return {
        evaluate: await answer(context, contract.evaluateTransaction('get', context.key())),
        endorse: await endorse(context, contract.newProposal('put', { arguments: [context.key(), 'y'] })),
        submit: await answer(context, taken(transaction.submit()), ANY_ORGANISATION),
      };
    } finally {
      await restart();
      await context.settle();
    }
  },

  'of half of the orderers': async (context) => {
    const { contract } = context.client();
    const transaction = await contract.newProposal('put', { arguments: [context.key(), 'x'] }).endorse();
    const restart = await context.network.stopOrderers(2);
    try {
      return { submit: await answer(context, taken(transaction.submit()), ANY_ORGANISATION) };
    } finally {
      await restart();
      await context.settle();
    }
  },

  'of one orderer': async (context) => {
    const { contract } = context.client();
    const restart = await context.network.stopOrderers(1);
    try {
      return { submit: await submit(context, contract, 'put', context.key(), 'x') };
    } finally {
      await restart();
      await context.settle();
    }
  },

  "of another organisation's peer": async (context) => {
    const { contract } = context.client();
    const restart = await context.network.stopPeer(1);
    try {
      const named = { arguments: [context.key(), 'x'], endorsingOrganizations: ['Org1MSP', 'Org2MSP'] };
      const there = { arguments: [context.key()], endorsingOrganizations: ['Org2MSP'] };
      await untilForgotten(context, () => contract.evaluate('get', there));
      return {
        evaluate: await answer(context, contract.evaluateTransaction('get', context.key())),
        evaluateThere: await answer(context, contract.evaluate('get', there)),
        endorseNamed: await endorse(context, contract.newProposal('put', named)),
        submit: await answer(context, submittedAt(contract, context.key('one'))),
      };
    } finally {
      await restart();
      await context.settle();
    }
  },

  'of so many peers that no majority is left': async (context) => {
    const { contract } = context.client();
    const restarts = [await context.network.stopPeer(1), await context.network.stopPeer(2)];
    try {
      for (const mspId of ['Org2MSP', 'Org3MSP']) {
        const there = { arguments: [context.key()], endorsingOrganizations: [mspId] };
        await untilForgotten(context, () => contract.evaluate('get', there));
      }
      return {
        evaluate: await answer(context, contract.evaluateTransaction('get', context.key())),
        endorse: await endorse(context, contract.newProposal('put', { arguments: [context.key(), 'x'] })),
      };
    } finally {
      await Promise.all(restarts.map((restart) => restart()));
      await context.settle();
    }
  },

  "of the gateway's own peer": async (context) => {
    const client = context.client();
    const { contract } = client;
    const submitted = await contract.submitAsync('put', { arguments: [context.key(), 'x'] });
    await submitted.getStatus();
    const restart = await context.network.stopPeer(0);
    try {
      const evaluate = await answer(context, contract.evaluateTransaction('get', context.key()));
      const proposal = contract.newProposal('put', { arguments: [context.key(), 'x'] });
      const other = context.client(1).contract;
      const own = {
        evaluate,
        endorse: await endorse(context, proposal),
        status: await answer(context, submitted.getStatus().then(statusName)),
      };
      await untilServed(context, () => other.submitTransaction('put', context.key('other'), 'x'));
      return { ...own, atAnother: await answer(context, submittedAt(other, context.key('another'))) };
    } finally {
      await restart();
      await context.settle();
    }
  },
});

/** Submits a transaction and asks its own gateway alone whether it is committed. */
async function submittedAt(contract: Contract, key: string): Promise<string> {
  const submitted = await contract.submitAsync('put', { arguments: [key, 'x'] });
  return statusName(await submitted.getStatus());
}

/** Calls until the gateway has found peers that serve: others' knowledge of who lives takes some seconds to settle. */
async function untilServed(context: ScenarioContext, call: () => Promise<Uint8Array>): Promise<void> {
  const endMs = Date.now() + FORGET_DEADLINE_MS;
  while (JSON.stringify(await answer(context, call())).includes('"error"') && Date.now() < endMs) {
    await delay(POLL_MS);
  }
}

/** Calls until the gateway no longer tries to reach a dead peer: discovery forgets it after some seconds. */
async function untilForgotten(context: ScenarioContext, call: () => Promise<Uint8Array>): Promise<void> {
  const endMs = Date.now() + FORGET_DEADLINE_MS;
  while (/unavailable/i.test(JSON.stringify(await answer(context, call()))) && Date.now() < endMs) {
    await delay(POLL_MS);
  }
}
