// SPDX-License-Identifier: Apache-2.0
import { answer, commitStatus, endorse, recorded, submitProposal } from '../observe.js';
import { scenarios, type Json, type ParityClient, type ScenarioContext } from '../scenario.js';

/**
 * Collections of Org1 and Org2: `shared` is for members only and endorsed by one of them, `open` is neither, `brief` is
 * `shared` for two blocks.
 */
export const privateDataScenarios = scenarios('private data', {
  'is written, read, hashed and deleted by members': async (context) => {
    const client = context.client();
    const key = context.key();
    return {
      put: await putPrivate(context, client, 'shared', key, 'secret'),
      get: await get(context, client, 'shared', key),
      getAtOtherMember: await get(context, context.client(1), 'shared', key),
      hash: await answer(context, client.contract.evaluateTransaction('getPrivateHash', 'shared', key)),
      range: await answer(
        context,
        client.contract.evaluateTransaction('rangePrivate', 'shared', key, context.key('~')),
      ),
      absent: await get(context, client, 'shared', context.key('absent')),
      delete: await submitProposal(
        context,
        client.contract.newProposal('deletePrivate', { arguments: ['shared', key] }),
      ),
      gone: await get(context, client, 'shared', key),
      hashGone: await answer(context, client.contract.evaluateTransaction('getPrivateHash', 'shared', key)),
    };
  },

  'leaves only hashes in the block': async (context) => {
    const client = context.client();
    const key = context.key();
    const named = { arguments: ['shared', key, context.key('copy')], endorsingOrganizations: ['Org1MSP'] };
    return {
      put: await recorded(
        context,
        client,
        client.contract.newProposal('putPrivate', privately('shared', key, 'secret')),
      ),
      copy: await recorded(context, client, client.contract.newProposal('copyPrivate', named)),
      delete: await recorded(
        context,
        client,
        client.contract.newProposal('deletePrivate', { arguments: ['shared', key] }),
      ),
      purge: await recorded(
        context,
        client,
        client.contract.newProposal('purgePrivate', { arguments: ['shared', context.key('copy')] }),
      ),
    };
  },

  'is purged with its history, the hash stays until then': async (context) => {
    const client = context.client();
    const key = context.key();
    await putPrivate(context, client, 'shared', key, 'secret');
    const purge = client.contract.newProposal('purgePrivate', { arguments: ['shared', key] });
    return {
      before: await get(context, client, 'shared', key),
      purge: await submitProposal(context, purge),
      after: await get(context, client, 'shared', key),
      atOtherMember: await get(context, context.client(1), 'shared', key),
      hash: await answer(context, client.contract.evaluateTransaction('getPrivateHash', 'shared', key)),
      again: await putPrivate(context, client, 'shared', key, 'new'),
      afterwards: await get(context, client, 'shared', key),
    };
  },

  'is not read by those who are no members': async (context) => {
    const [member, outsider] = [context.client(0), context.client(2)];
    const key = context.key();
    await putPrivate(context, member, 'shared', key, 'secret');
    await putPrivate(context, member, 'open', key, 'secret', ['Org1MSP', 'Org2MSP', 'Org3MSP']);
    const read = (collection: string, ...endorsingOrganizations: string[]): Promise<Json> =>
      answer(
        context,
        outsider.contract.evaluate('getPrivate', { arguments: [collection, key], endorsingOrganizations }),
      );
    return {
      atOwnPeer: await get(context, outsider, 'shared', key),
      atMembersPeer: await read('shared', 'Org1MSP'),
      openAtOwnPeer: await read('open', 'Org3MSP'),
      openAtMembersPeer: await read('open', 'Org1MSP'),
      memberAtOutsidersPeer: await answer(
        context,
        member.contract.evaluate('getPrivate', { arguments: ['shared', key], endorsingOrganizations: ['Org3MSP'] }),
      ),
      hash: await answer(context, outsider.contract.evaluateTransaction('getPrivateHash', 'shared', key)),
      range: await answer(
        context,
        outsider.contract.evaluateTransaction('rangePrivate', 'shared', key, context.key('~')),
      ),
    };
  },

  'is not written by those who are no members': async (context) => {
    const outsider = context.client(2);
    const key = context.key();
    const named = { arguments: ['shared', key], endorsingOrganizations: ['Org1MSP'] };
    return {
      atOwnGateway: await putPrivate(context, outsider, 'shared', key, 'secret'),
      atMembersPeer: await putPrivate(context, outsider, 'shared', key, 'secret', ['Org1MSP']),
      delete: await submitProposal(context, outsider.contract.newProposal('deletePrivate', named)),
      open: await putPrivate(context, outsider, 'open', key, 'secret', ['Org1MSP', 'Org2MSP', 'Org4MSP']),
      readByMember: await get(context, context.client(0), 'open', key),
    };
  },

  'is kept from organisations that are no members': async (context) => {
    const [member, outsider] = [context.client(0), context.client(2)];
    const key = context.key();
    return {
      // The policy of the chaincode asks for three organisations, the collection has two.
      moreEndorsersThanMembers: await putPrivate(context, member, 'open', key, 'secret'),
      evaluatedByOutsider: await answer(
        context,
        outsider.contract.evaluate('putPrivate', privately('shared', key, 'secret')),
      ),
      anArgument: await submitProposal(
        context,
        member.contract.newProposal('putPrivateArgument', { arguments: ['shared', key, 'no secret'] }),
      ),
    };
  },

  'of a collection that is not there': async (context) => {
    const client = context.client();
    return {
      get: await get(context, client, 'absent', context.key()),
      put: await putPrivate(context, client, 'absent', context.key(), 'secret'),
      hash: await answer(context, client.contract.evaluateTransaction('getPrivateHash', 'absent', context.key())),
    };
  },

  'of an organisation alone': async (context) => {
    const client = context.client();
    const key = context.key();
    return {
      put: await putPrivate(context, client, '_implicit_org_Org1MSP', key, 'own'),
      get: await get(context, client, '_implicit_org_Org1MSP', key),
      byAnother: await get(context, context.client(1), '_implicit_org_Org1MSP', key),
    };
  },

  'without a value is refused': async (context) => {
    const client = context.client();
    const put = client.contract.newProposal('putPrivateArgument', { arguments: ['shared', context.key(), ''] });
    return { put: await endorse(context, put) };
  },

  'needs the endorsement that its collection names': async (context) => {
    const client = context.client();
    const write = client.contract.submitAsync('putPrivate', {
      ...privately('shared', context.key(), 'secret'),
      endorsingOrganizations: ['Org3MSP'],
    });
    return { byNonMember: await commitStatus(context, write) };
  },

  'conflicts like any other': async (context) => {
    const client = context.client();
    const key = context.key();
    await putPrivate(context, client, 'shared', key, 'one');
    const arguments_ = ['shared', key, context.key('copy')];
    const copying = client.contract.newProposal('copyPrivate', { arguments: arguments_ }).endorse();
    const endorsed = await answer(
      context,
      copying.then((transaction) => transaction.getResult()),
    );
    await putPrivate(context, client, 'shared', key, 'two');
    return {
      endorsed,
      copy: await commitStatus(
        context,
        copying.then((transaction) => transaction.submit()),
      ),
      copied: await get(context, client, 'shared', context.key('copy')),
    };
  },

  'expires after the blocks that its collection grants': async (context) => {
    const client = context.client();
    const key = context.key();
    await putPrivate(context, client, 'brief', key, 'secret');
    const before = await get(context, client, 'brief', key);
    for (const suffix of ['1', '2', '3']) {
      await submitProposal(context, client.contract.newProposal('put', { arguments: [context.key(suffix), 'x'] }));
    }
    return {
      before,
      after: await get(context, client, 'brief', key),
      hash: await answer(context, client.contract.evaluateTransaction('getPrivateHash', 'brief', key)),
    };
  },
});

interface PrivateCall {
  readonly arguments: string[];
  readonly transientData: { readonly value: string };
}

function privately(collection: string, key: string, value: string): PrivateCall {
  return { arguments: [collection, key], transientData: { value } };
}

function putPrivate(
  context: ScenarioContext,
  client: ParityClient,
  collection: string,
  key: string,
  value: string,
  endorsingOrganizations: string[] = [],
): Promise<Json> {
  const options = { ...privately(collection, key, value), endorsingOrganizations };
  return submitProposal(context, client.contract.newProposal('putPrivate', options));
}

function get(context: ScenarioContext, client: ParityClient, collection: string, key: string): Promise<Json> {
  return answer(context, client.contract.evaluateTransaction('getPrivate', collection, key));
}
