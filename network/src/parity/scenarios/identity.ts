// SPDX-License-Identifier: Apache-2.0
import { CertificateAuthority, newKeyPair } from '../../embedded/ca/authority.js';
import type { KeyPairPem } from '../../embedded/types.js';
import { answer, commit, endorse, firstBlock, firstEvents, statusName, taken } from '../observe.js';
import { ANY_ORGANISATION } from '../normalise.js';
import { newCommit } from '../requests.js';
import { transactionsOf } from '../rwset.js';
import { scenarios, type ClientOptions, type Json, type ParityClient, type ScenarioContext } from '../scenario.js';

const HOUR_MS = 3_600_000;

/** Clients that are not whom they claim to be, or no longer may. */
export const identityScenarios = scenarios('identity', {
  'signs with another key': (context) => everyCall(context, { signingKeyPem: context.network.member(1).privateKeyPem }),

  'signs with the higher S': (context) => everyCall(context, { highS: true }),

  'has a certificate of another organisation': (context) => everyCall(context, { identity: context.network.member(1) }),

  'has a certificate of a foreign authority': async (context) => {
    const identity = await foreignIdentity();
    return everyCall(context, { identity });
  },

  'claims an organisation that the channel does not know': (context) => everyCall(context, { mspId: 'Org9MSP' }),

  'has a certificate that is none': (context) =>
    everyCall(context, { identity: { ...context.network.member(0), certificatePem: 'no certificate' } }),

  'has a certificate that has expired': async (context) => {
    const identity = await context.network.issue(0, -HOUR_MS);
    return everyCall(context, { identity });
  },

  'is a peer': async (context) => everyCall(context, { identity: await context.network.peerIdentity(0) }),

  'is a member of another organisation than the gateway': async (context) => {
    return everyCall(context, { mspId: 'Org2MSP', identity: context.network.member(1) });
  },

  'is revoked': async (context) => {
    const identity = await context.network.issue(0);
    const client = context.client(0, { identity });
    const honest = context.client(0);
    const key = context.key();
    const before = await answer(context, client.contract.evaluateTransaction('get', key));
    const endorsed = await client.contract.newProposal('put', { arguments: [key, 'x'] }).endorse();
    const later = await honest.contract.newProposal('event', { arguments: [key, 'payload'] }).endorse();
    const events = answer(context, firstEvents(context, client.network));
    const blocks = answer(context, untilBlockOf(client, later.getTransactionId()));
    await context.network.revoke(0, identity);
    await (await later.submit()).getStatus();
    return {
      before,
      ...(await everyCall(context, { identity })),
      submitOfEndorsed: await answer(context, taken(endorsed.submit()), ANY_ORGANISATION),
      openEventStream: await events,
      openBlockStream: await blocks,
    };
  },

  'asks for the status of a transaction with a bad identity': async (context) => {
    const honest = context.client();
    const submitted = await honest.contract.submitAsync('put', { arguments: [context.key(), 'x'] });
    await submitted.getStatus();
    const ask = (options: ClientOptions): Promise<Json> =>
      answer(context, newCommit(context.client(0, options), submitted.getTransactionId()).getStatus().then(statusName));
    return {
      wrongKey: await ask({ signingKeyPem: context.network.member(1).privateKeyPem }),
      foreign: await ask({ identity: await foreignIdentity() }),
      unknownOrganisation: await ask({ mspId: 'Org9MSP' }),
      expired: await ask({ identity: await context.network.issue(0, -HOUR_MS) }),
      peer: await ask({ identity: await context.network.peerIdentity(0) }),
      otherOrganisation: await ask({ mspId: 'Org2MSP', identity: context.network.member(1) }),
    };
  },
});

/** What each call of the Gateway answers to a client. */
async function everyCall(context: ScenarioContext, options: ClientOptions): Promise<Readonly<Record<string, Json>>> {
  const key = context.key();
  const client = context.client(0, options);
  const { contract } = context.client();
  const { blockNumber } = await commit(context, contract, 'event', key, 'payload');
  const honest = await contract.newProposal('put', { arguments: [key, 'x'] }).endorse();
  return {
    evaluate: await answer(context, client.contract.evaluateTransaction('get', key)),
    evaluateElsewhere: await answer(
      context,
      client.contract.evaluate('get', { arguments: [key], endorsingOrganizations: ['Org2MSP'] }),
    ),
    endorse: await endorse(context, client.contract.newProposal('put', { arguments: [key, 'x'] })),
    endorseElsewhere: await endorse(
      context,
      client.contract.newProposal('put', { arguments: [key, 'x'], endorsingOrganizations: ['Org2MSP'] }),
    ),
    // The envelope of an honest client, signed by this one.
    submit: await answer(context, taken(client.gateway.newTransaction(honest.getBytes()).submit()), ANY_ORGANISATION),
    chaincodeEvents: await answer(context, firstEvents(context, client.network, { startBlock: blockNumber })),
    blockEvents: await answer(context, firstBlock(client.network)),
  };
}

/** Reads blocks until one holds a transaction. @returns that it came. */
async function untilBlockOf(client: ParityClient, transactionId: string): Promise<string> {
  for await (const block of await client.network.getBlockEvents()) {
    if (transactionsOf(block).some(({ id }) => id === transactionId)) {
      break;
    }
  }
  return 'delivered';
}

/** A certificate for a client, of an authority that nobody knows. */
async function foreignIdentity(): Promise<KeyPairPem> {
  const { privateKeyPem, publicKeySpki } = newKeyPair();
  const authority = await CertificateAuthority.open(await CertificateAuthority.createRoot('Org1MSP', 'ca.Org1MSP'));
  const { pem } = await authority.issue({
    commonName: 'client1',
    organisationalUnits: ['client'],
    publicKeySpki,
    validityMs: HOUR_MS,
  });
  return { certificatePem: pem, privateKeyPem };
}
