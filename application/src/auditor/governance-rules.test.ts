// SPDX-License-Identifier: Apache-2.0
import type { Change, Organisation } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { AuditCode } from './failure.js';
import { codeOf, HASH, newKey, publicText, ready, Scenario } from './testing/scenario.js';

const REST = ['BMSP', 'CMSP', 'DMSP'];

const organisation = (mspId: string): Organisation => ({
  name: mspId.toLowerCase(),
  mspId,
  signingKey: publicText(newKey()),
  roles: ['operator', 'vehicle'],
});
const admission = (mspId: string): Change => ({ kind: 'admit-organisation', organisation: organisation(mspId) });
const removal = (mspId: string): Change => ({ kind: 'remove-organisation', mspId });
const bootstrapped = (): Scenario => new Scenario().bootstrap();
/** A ledger with a round open, opened by AMSP, and AMSP's proposal to suspend the vehicle. */
const proposed = (): Scenario => {
  const scenario = ready();
  const { vehicleId } = scenario;
  return scenario.propose({ kind: 'vehicle-status', vehicleId, status: 'suspended', reason: 'test' });
};
const suspended = (scenario: Scenario): Scenario => {
  const record = scenario.vehicleRecord({ status: 'suspended', statusSetBy: 'consortium' });
  return scenario.execute({ writes: { [`vehicle/${scenario.vehicleId}`]: record } });
};

describe('audit rules of governance', () => {
  const accepted: readonly (readonly [string, () => unknown])[] = [
    ['what three of four voted for', () => suspended(proposed().vote('BMSP').vote('CMSP'))],
    [
      'a fifth member, whose vote counts towards a majority of five',
      () => bootstrapped().decide(admission('EMSP')).decide(removal('DMSP'), ['EMSP', 'AMSP', 'BMSP'], { id: 'p-2' }),
    ],
    ['a member that leaves with a round open', () => ready().decide(removal('AMSP'), REST)],
    [
      'a member that leaves with a proposal open',
      () => bootstrapped().propose(admission('EMSP')).decide(removal('AMSP'), REST, { id: 'p-2' }),
    ],
    [
      'a stranger that was put under the first version, and its vote under the second',
      () =>
        bootstrapped()
          .decide({ kind: 'put-organisation', organisation: organisation('EMSP') }, undefined, { version: 1 })
          .decide(removal('DMSP'), ['EMSP', 'AMSP', 'BMSP'], { id: 'p-2' }),
    ],
    [
      'a proposal of the first version that the second one executes',
      () => bootstrapped().propose(removal('DMSP'), { version: 1 }).vote('BMSP').vote('CMSP').execute({ version: 2 }),
    ],
    ['a proposal that its proposer withdraws', () => proposed().withdraw('AMSP')],
    [
      'a proposal that another withdraws once a majority is against it',
      () => proposed().vote('BMSP', false).vote('CMSP', false).vote('DMSP', false).withdraw('CMSP'),
    ],
  ];
  for (const [what, run] of accepted) {
    it(`accept ${what}`, () => {
      expect(codeOf(run)).to.equal(undefined);
    });
  }

  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    ['a change that two of four voted for', 'GOVERNANCE_INVALID', () => suspended(proposed().vote('BMSP'))],
    [
      'a change executed without a record of it',
      'GOVERNANCE_INVALID',
      () => {
        proposed().vote('BMSP').vote('CMSP').submit('governance:Execute', { proposalId: 'p-1' }, {});
      },
    ],
    [
      'a proposal recorded with another change',
      'GOVERNANCE_INVALID',
      () => bootstrapped().propose(removal('BMSP'), { record: { changeHash: HASH('b') } }),
    ],
    [
      'a proposal recorded as executed when it was made',
      'GOVERNANCE_INVALID',
      () => bootstrapped().propose(removal('BMSP'), { record: { state: 'executed' } }),
    ],
    [
      'a withdrawn proposal that is executed',
      'GOVERNANCE_INVALID',
      () => suspended(proposed().vote('BMSP').vote('CMSP').withdraw('AMSP')),
    ],
    [
      'a proposal that another withdraws with two of four against it',
      'GOVERNANCE_INVALID',
      () => proposed().vote('BMSP', false).vote('CMSP', false).withdraw('CMSP'),
    ],
    [
      'a stranger that leaves',
      'GOVERNANCE_INVALID',
      () => bootstrapped().decide(removal('EMSP'), ['AMSP', 'BMSP', 'CMSP']),
    ],
    ['a member that is admitted again', 'GOVERNANCE_INVALID', () => bootstrapped().decide(admission('BMSP'))],
    [
      'a stranger that is put instead of admitted',
      'GOVERNANCE_INVALID',
      () => bootstrapped().decide({ kind: 'put-organisation', organisation: organisation('EMSP') }),
    ],
    [
      'a vote of an earlier membership that counts again',
      'GOVERNANCE_INVALID',
      () =>
        bootstrapped()
          .propose({ kind: 'remove-maker', makerKeyId: 'maker-1' }, { id: 'p-2' })
          .vote('DMSP', true, 'p-2')
          .decide(removal('DMSP'))
          .decide(admission('DMSP'), undefined, { id: 'p-3' })
          .vote('BMSP', true, 'p-2')
          .execute({ id: 'p-2' }),
    ],
    [
      "a vehicle attested by a maker's key that left with its organisation",
      'MAKER_ATTESTATION',
      () => bootstrapped().decide(removal('BMSP'), ['AMSP', 'CMSP', 'DMSP']).enroll(),
    ],
    [
      'a transaction of an organisation that has left',
      'CREATOR_NOT_MEMBER',
      () => bootstrapped().decide(removal('DMSP')).vote('DMSP'),
    ],
    [
      'an update of a vehicle whose organisation has left',
      'UPDATE_INVALID',
      () => ready().decide(removal('AMSP'), REST, { version: 1 }).update({ by: 'BMSP' }),
    ],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}: ${code}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }
});
