// SPDX-License-Identifier: Apache-2.0
import type { SubmittedTransaction, Transaction } from '@hyperledger/fabric-gateway';
import { answer, commit, commitStatus, endorse, take, taken } from '../observe.js';
import { ANY_ORGANISATION } from '../normalise.js';
import { transactionsOf } from '../rwset.js';
import { scenarios, type ParityClient } from '../scenario.js';

/** Transactions that are ordered and found invalid, and those that are sent twice. */
export const commitScenarios = scenarios('commit', {
  'a key that was read has changed': async (context) => {
    const client = context.client();
    const key = context.key();
    const [first, second] = [await endorsed(client, 'increment', key), await endorsed(client, 'increment', key)];
    return {
      first: await commitStatus(context, first.submit()),
      second: await commitStatus(context, second.submit()),
      value: await answer(context, client.contract.evaluateTransaction('get', key)),
      blindWrites: await commitStatus(context, (await endorsed(client, 'put', key, 'x')).submit()),
    };
  },

  'a conflict is thrown by the short call': async (context) => {
    const client = context.client();
    const key = context.key();
    const late = await endorsed(client, 'increment', key);
    await commit(context, client.contract, 'increment', key);
    const lacking = { arguments: [key], endorsingOrganizations: ['Org1MSP'] };
    return {
      late: await commitStatus(context, late.submit()),
      lacking: await answer(context, client.contract.submit('increment', lacking)),
    };
  },

  'transactions of one block conflict': async (context) => {
    const client = context.client();
    const key = context.key();
    const prepared: Transaction[] = [];
    for (let index = 0; index < 5; index += 1) {
      prepared.push(await endorsed(client, 'increment', key));
    }
    const submitted = await Promise.all(prepared.map((transaction) => transaction.submit()));
    const statuses = await Promise.all(submitted.map((one) => commitStatus(context, Promise.resolve(one))));
    return {
      statuses: statuses.map((one) => JSON.stringify(one)).sort(),
      value: await answer(context, client.contract.evaluateTransaction('get', key)),
    };
  },

  'a range that was read has grown, shrunk or changed': async (context) => {
    const client = context.client();
    const { contract } = client;
    const counting = async (range: string): Promise<Transaction> => {
      await commit(context, contract, 'putMany', context.key(range), '3');
      return endorsed(client, 'countInto', context.key(range), context.key(`${range}~`), context.key(`count-${range}`));
    };
    const [grown, shrunk, changed] = [await counting('g'), await counting('s'), await counting('c')];
    const [empty, untouched] = [
      await endorsed(client, 'countInto', context.key('e'), context.key('e~'), context.key('count-e')),
      await counting('u'),
    ];
    await commit(context, contract, 'put', context.key('g0001x'), 'new');
    await commit(context, contract, 'del', context.key('s0001'));
    await commit(context, contract, 'put', context.key('c0001'), 'other');
    await commit(context, contract, 'put', context.key('e0'), 'first');
    return {
      grown: await commitStatus(context, grown.submit()),
      shrunk: await commitStatus(context, shrunk.submit()),
      changed: await commitStatus(context, changed.submit()),
      noLongerEmpty: await commitStatus(context, empty.submit()),
      untouched: await commitStatus(context, untouched.submit()),
    };
  },

  'a long range that was read has grown': async (context) => {
    const client = context.client();
    await commit(context, client.contract, 'putMany', context.key('k'), '120');
    const args = [context.key('k'), context.key('k~'), context.key('count')] as const;
    const [same, grown] = [await endorsed(client, 'countInto', ...args), await endorsed(client, 'countInto', ...args)];
    const untouched = await commitStatus(context, same.submit());
    await commit(context, client.contract, 'put', context.key('k0077x'), 'new');
    return { untouched, grown: await commitStatus(context, grown.submit()) };
  },

  'a committed proposal is sent again': async (context) => {
    const { contract } = context.client();
    const proposal = contract.newProposal('put', { arguments: [context.key(), 'value'] });
    await (await (await proposal.endorse()).submit()).getStatus();
    return {
      evaluate: await answer(context, proposal.evaluate()),
      endorse: await endorse(context, proposal),
    };
  },

  'a transaction is sent again': async (context) => {
    const client = context.client();
    const key = context.key();
    const transaction = await endorsed(client, 'put', key, 'value');
    const first = await transaction.submit();
    const { blockNumber, transactionId } = await first.getStatus();
    const again = await answer(context, taken(transaction.submit()), ANY_ORGANISATION);
    await commit(context, client.contract, 'put', context.key('later'), 'value');
    return {
      again,
      statusAfterwards: await commitStatus(context, Promise.resolve(first)),
      codes: await codesOf(client, blockNumber, transactionId),
    };
  },

  'fewer organisations endorse than the policy asks for': async (context) => {
    const { contract } = context.client();
    const put = (...endorsingOrganizations: string[]): Promise<SubmittedTransaction> =>
      contract.submitAsync('put', { arguments: [context.key(), 'value'], endorsingOrganizations });
    return {
      one: await commitStatus(context, put('Org1MSP')),
      two: await commitStatus(context, put('Org1MSP', 'Org2MSP')),
      three: await commitStatus(context, put('Org1MSP', 'Org2MSP', 'Org4MSP')),
      value: await answer(context, contract.evaluateTransaction('get', context.key())),
    };
  },
});

function endorsed(client: ParityClient, name: string, ...args: string[]): Promise<Transaction> {
  return client.contract.newProposal(name, { arguments: args }).endorse();
}

/** The validation codes of all transactions of an id, from its first block to the next that holds others. */
async function codesOf(client: ParityClient, startBlock: bigint, id: string): Promise<number[]> {
  const blocks = await take(await client.network.getBlockEvents({ startBlock }), 2);
  return blocks
    .flatMap(transactionsOf)
    .filter((transaction) => transaction.id === id)
    .map(({ code }) => code);
}
