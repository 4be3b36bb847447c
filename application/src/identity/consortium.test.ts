// SPDX-License-Identifier: Apache-2.0
import type { Bootstrap, Organisation } from '@sev/chaincode/api';
import { expect } from 'chai';
import { DEFAULT_POLICY, differencesOf } from './consortium.js';

const organisation = (name: string, roles: Organisation['roles'] = ['operator']): Organisation => ({
  name,
  mspId: `${name}MSP`,
  signingKey: `key of ${name}`,
  roles,
});

describe('differences of consortiums', () => {
  const maker = { makerKeyId: 'maker-1', mspId: 'bMSP', publicKey: 'key' };
  const meant: Bootstrap = {
    organisations: [organisation('a'), organisation('b')],
    makers: [maker],
    policy: DEFAULT_POLICY,
  };
  const [a, b] = meant.organisations as [Organisation, Organisation];
  const table: [string, Partial<Bootstrap>, string[]][] = [
    ['nothing', {}, []],
    ['an organisation too few', { organisations: [a] }, ['organisation bMSP missing']],
    ['an organisation too many', { organisations: [a, b, organisation('c')] }, ['organisation cMSP added']],
    [
      'a role too many',
      { organisations: [a, organisation('b', ['operator', 'auditor'])] },
      ['organisation bMSP with other content'],
    ],
    [
      'another statement key',
      { organisations: [{ ...a, signingKey: 'x' }, b] },
      ['organisation aMSP with other content'],
    ],
    ['a maker too few', { makers: [] }, ['maker maker-1 missing']],
    ['a maker too many', { makers: [maker, { ...maker, makerKeyId: 'm2' }] }, ['maker m2 added']],
    ['another key of a maker', { makers: [{ ...maker, publicKey: 'x' }] }, ['maker maker-1 with other content']],
    ['another policy', { policy: { ...DEFAULT_POLICY, vehicleQuota: 1 } }, ['another policy']],
  ];
  for (const [what, change, expected] of table) {
    it(`find ${what}`, () => {
      expect(differencesOf(meant, { ...meant, ...change })).to.deep.equal(expected);
    });
  }
});
