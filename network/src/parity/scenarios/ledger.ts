// SPDX-License-Identifier: Apache-2.0
import { answer, commit, commitStatus, recorded, submit } from '../observe.js';
import { scenarios, type Json } from '../scenario.js';

/** Reads and writes that succeed, and the read/write sets that they leave in the blocks. */
export const ledgerScenarios = scenarios('ledger', {
  'a value is written, read, overwritten and deleted': async (context) => {
    const { contract } = context.client();
    const key = context.key();
    return {
      absent: await answer(context, contract.evaluateTransaction('get', key)),
      put: await submit(context, contract, 'put', key, 'one'),
      get: await answer(context, contract.evaluateTransaction('get', key)),
      atAnother: await answer(
        context,
        contract.evaluate('get', { arguments: [key], endorsingOrganizations: ['Org2MSP'] }),
      ),
      evaluatedPut: await answer(context, contract.evaluateTransaction('put', key, 'two')),
      unchanged: await answer(context, contract.evaluateTransaction('get', key)),
      deleted: await submit(context, contract, 'del', key),
      gone: await answer(context, contract.evaluateTransaction('get', key)),
      noAnswer: await answer(context, contract.evaluateTransaction('nothing')),
    };
  },

  'a transaction leaves its read/write set in the block': async (context) => {
    const client = context.client();
    const key = context.key('key');
    await commit(context, client.contract, 'putMany', context.key('range-'), '3');
    const made = (name: string, ...args: string[]): Promise<Json> =>
      recorded(context, client, client.contract.newProposal(name, { arguments: args }));
    return {
      blindWrite: await made('put', key, 'value'),
      readAndWrite: await made('increment', context.key('counter')),
      readAgain: await made('increment', context.key('counter')),
      ownWriteIsNotRead: await made('putThenGet', key, 'later'),
      range: await made('countInto', context.key('range-'), context.key('range-~'), context.key('target')),
      delete: await made('del', key),
      readOnly: await made('get', key),
      nothing: await made('nothing'),
      keyPolicy: await made('restrict', key, 'Org1MSP'),
    };
  },

  'a long range is summarised in the read set': async (context) => {
    const client = context.client();
    await commit(context, client.contract, 'putMany', context.key('range-'), '120');
    const args = [context.key('range-'), context.key('range-~'), context.key('target')];
    return {
      range: await recorded(context, client, client.contract.newProposal('countInto', { arguments: args })),
    };
  },

  'ranges and composite keys are read in order': async (context) => {
    const { contract } = context.client();
    await commit(context, contract, 'putMany', context.key('k'), '5');
    const type = context.key('type');
    for (const [first, second] of [
      ['a', '1'],
      ['a', '2'],
      ['b', '1'],
    ] as const) {
      await commit(context, contract, 'putComposite', type, first, second);
    }
    const range = (from: string, to: string): Promise<Json> =>
      answer(context, contract.evaluateTransaction('range', context.key(from), context.key(to)));
    return {
      all: await range('k', 'k~'),
      part: await range('k0001', 'k0003'),
      none: await range('x', 'y'),
      backwards: await range('k~', 'k'),
      composite: await answer(context, contract.evaluateTransaction('listComposite', type, 'a')),
      emptyKey: await answer(context, contract.evaluateTransaction('putEmptyKey')),
    };
  },

  'a range is read in pages': async (context) => {
    const { contract } = context.client();
    await commit(context, contract, 'putMany', context.key('k'), '5');
    const page = (size: string, bookmark: string): Promise<Json> =>
      answer(context, contract.evaluateTransaction('page', context.key('k'), context.key('k~'), size, bookmark));
    return {
      first: await page('2', ''),
      second: await page('2', context.key('k0002')),
      last: await page('2', context.key('k0004')),
      exact: await page('5', ''),
      more: await page('10', ''),
      inTransaction: await submit(
        context,
        contract,
        'pageAndPut',
        context.key('k'),
        context.key('k~'),
        '2',
        context.key('target'),
      ),
    };
  },

  'the history of a key names every transaction that wrote it': async (context) => {
    const { contract } = context.client();
    const key = context.key();
    await commit(context, contract, 'put', key, 'one');
    await commit(context, contract, 'put', key, 'two');
    await commit(context, contract, 'del', key);
    return {
      history: await answer(context, contract.evaluateTransaction('history', key)),
      ofNothing: await answer(context, contract.evaluateTransaction('history', context.key('never'))),
      inTransaction: await submit(context, contract, 'history', key),
    };
  },

  'a contract knows who calls, and its own organisation': async (context) => {
    const { contract } = context.client();
    const atThird = { endorsingOrganizations: ['Org3MSP'] };
    return {
      here: await answer(context, contract.evaluateTransaction('identity')),
      atAnother: await answer(context, contract.evaluate('identity', atThird)),
      clientOfAnother: await answer(context, context.client(2).contract.evaluateTransaction('identity')),
      transient: await answer(context, contract.evaluate('transient', { arguments: ['a'], transientData: { a: 'x' } })),
      noTransient: await answer(context, contract.evaluateTransaction('transient', 'a')),
    };
  },

  'rich queries need another state database': async (context) => {
    const { contract } = context.client();
    return { query: await answer(context, contract.evaluateTransaction('query')) };
  },

  'a key with a policy of its own needs the endorsement that it names': async (context) => {
    const { contract } = context.client();
    const key = context.key();
    await commit(context, contract, 'put', key, 'open');
    const restricted = await submit(context, contract, 'restrict', key, 'Org4MSP');
    const without = contract.submitAsync('put', {
      arguments: [key, 'without'],
      endorsingOrganizations: ['Org1MSP', 'Org2MSP', 'Org3MSP'],
    });
    return {
      restricted,
      withoutIt: await commitStatus(context, without),
      withIt: await submit(context, contract, 'put', key, 'with'),
      value: await answer(context, contract.evaluateTransaction('get', key)),
    };
  },
});
