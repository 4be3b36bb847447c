// SPDX-License-Identifier: Apache-2.0
import { answer, endorse, submit } from '../observe.js';
import { ANY_ORGANISATION } from '../normalise.js';
import { scenarios, type Json, type ScenarioContext } from '../scenario.js';

/** What clients are told when a contract fails. */
export const contractScenarios = scenarios('contract', {
  'gets too few arguments': (context) => evaluatedAndEndorsed(context, 'put', 'only one'),
  'gets too many arguments': (context) => evaluatedAndEndorsed(context, 'get', 'one', 'two'),
  'has no such function': (context) => evaluatedAndEndorsed(context, 'absent'),
  'has no such contract': (context) => evaluatedAndEndorsed(context, 'absent:get', 'key'),
  throws: (context) => evaluatedAndEndorsed(context, 'fail', 'SOME_CODE: no'),
  'throws without a message': (context) => evaluatedAndEndorsed(context, 'fail', ''),
  'calls a chaincode that is not there': (context) => evaluatedAndEndorsed(context, 'callOther'),

  'throws at every organisation that was named': async (context) => {
    const { contract } = context.client();
    const proposal = contract.newProposal('fail', {
      arguments: ['no'],
      endorsingOrganizations: ['Org1MSP', 'Org2MSP', 'Org3MSP'],
    });
    return { endorse: await endorse(context, proposal) };
  },

  'throws at a minority of organisations': async (context) => {
    const { contract } = context.client();
    return {
      atAnother: await submit(context, contract, 'failAt', 'Org2MSP', context.key('a')),
      atOwn: await submit(context, contract, 'failAt', 'Org1MSP', context.key('b')),
      evaluatedAtOwn: await answer(context, contract.evaluateTransaction('failAt', 'Org1MSP', context.key('b'))),
    };
  },

  'throws at so many organisations that no majority is left': async (context) => {
    const { contract } = context.client();
    const refusing = contract.newProposal('failAt', { arguments: ['Org2MSP,Org3MSP', context.key()] });
    return { endorse: await endorse(context, refusing) };
  },

  'returns another result at each organisation': async (context) => {
    const { contract } = context.client();
    const named = contract.newProposal('random', {
      arguments: [context.key()],
      endorsingOrganizations: ['Org1MSP', 'Org2MSP'],
    });
    return {
      endorse: await endorse(context, contract.newProposal('random', { arguments: [context.key()] }), {
        onlyMspId: 'Org1MSP',
      }),
      // Which of two answers first is a matter of chance.
      named: await endorse(context, named, ANY_ORGANISATION),
    };
  },

  'ends its process while it is evaluated': async (context) => {
    const { contract } = context.client();
    const evaluate = await answer(context, contract.evaluate('crash', { endorsingOrganizations: ['Org1MSP'] }));
    await context.settle();
    return { evaluate };
  },

  'ends its process while it is endorsed': async (context) => {
    const { contract } = context.client();
    const endorsed = await endorse(context, contract.newProposal('crash'));
    await context.settle();
    return {
      endorse: endorsed,
      afterwards: await submit(context, contract, 'put', context.key(), 'again'),
    };
  },

  'takes longer than a call may': async (context) => {
    const tooLong = String(context.network.executeTimeoutMs * 2);
    const { contract } = context.client();
    return {
      evaluate: await answer(
        context,
        contract.evaluate('sleep', { arguments: [tooLong], endorsingOrganizations: ['Org1MSP'] }),
      ),
      endorse: await endorse(context, contract.newProposal('sleep', { arguments: [tooLong] })),
    };
  },
});

async function evaluatedAndEndorsed(
  context: ScenarioContext,
  name: string,
  ...args: string[]
): Promise<Readonly<Record<string, Json>>> {
  const { contract } = context.client();
  return {
    evaluate: await answer(context, contract.evaluateTransaction(name, ...args)),
    endorse: await endorse(context, contract.newProposal(name, { arguments: args })),
  };
}
