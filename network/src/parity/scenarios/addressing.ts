// SPDX-License-Identifier: Apache-2.0
import type { Contract } from '@hyperledger/fabric-gateway';
import { answer, endorse, statusName } from '../observe.js';
import { newCommit } from '../requests.js';
import { PARITY_CHAINCODE, PARITY_CHANNEL, scenarios, type Json, type ScenarioContext } from '../scenario.js';

/** Calls to what is not there. */
export const addressingScenarios = scenarios('addressing', {
  'the channel is unknown': async (context) => {
    const client = context.client();
    const elsewhere = client.gateway.getNetwork('nowhere').getContract(PARITY_CHAINCODE);
    const transaction = await client.contract.newProposal('put', { arguments: [context.key(), 'x'] }).endorse();
    return {
      ...(await called(context, elsewhere)),
      status: await answer(
        context,
        newCommit(client, transaction.getTransactionId(), 'nowhere').getStatus().then(statusName),
      ),
    };
  },

  'the chaincode is unknown': (context) => called(context, context.client().network.getContract('absent')),

  "the chaincode is one of the peer's own": async (context) => {
    const system = context.client().network.getContract('qscc');
    return {
      evaluate: await answer(context, system.evaluateTransaction('GetTransactionByID', PARITY_CHANNEL, 'absent')),
      endorse: await endorse(
        context,
        system.newProposal('GetTransactionByID', { arguments: [PARITY_CHANNEL, 'absent'] }),
      ),
    };
  },

  'the organisation is unknown': async (context) => {
    const { contract } = context.client();
    const options = { arguments: [context.key(), 'x'], endorsingOrganizations: ['Org1MSP', 'Org9MSP'] };
    return {
      evaluate: await answer(context, contract.evaluate('put', options)),
      evaluateOnlyThere: await answer(
        context,
        contract.evaluate('put', { ...options, endorsingOrganizations: ['Org9MSP'] }),
      ),
      endorse: await endorse(context, contract.newProposal('put', options)),
    };
  },
});

async function called(context: ScenarioContext, contract: Contract): Promise<Readonly<Record<string, Json>>> {
  const key = context.key();
  const named = { arguments: [key, 'x'], endorsingOrganizations: ['Org1MSP'] };
  const secretly = { arguments: [key, 'x'], transientData: { value: 'secret' } };
  return {
    evaluate: await answer(context, contract.evaluateTransaction('get', key)),
    evaluateAt: await answer(context, contract.evaluate('get', { ...named, arguments: [key] })),
    endorse: await endorse(context, contract.newProposal('put', { arguments: [key, 'x'] })),
    endorseBy: await endorse(context, contract.newProposal('put', named)),
    evaluateSecretly: await answer(context, contract.evaluate('put', secretly)),
    endorseSecretly: await endorse(context, contract.newProposal('put', secretly)),
  };
}
