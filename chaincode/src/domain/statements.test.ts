// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { majorityOf, signStatement, type Organisation, type SignedBy } from '../api';
import { signingKey } from '../testing/identities';
import { expectThrown } from '../testing/refusal';
import { requireMajority, validStatements } from './statements';

const keys = Array.from({ length: 7 }, signingKey);
const organisations: Organisation[] = keys.map(({ publicKey }, i) => ({
  name: `org-${i}`,
  mspId: `Org${i}MSP`,
  signingKey: publicKey,
  roles: ['operator'],
}));
const statementOf = (mspId: string) => ({ type: 'sev/test/v1' as const, mspId });
const signedBy = (claimed: number, signer: number): SignedBy => {
  const mspId = `Org${claimed}MSP`;
  return { mspId, signature: signStatement(statementOf(mspId), keys[signer]!.privateKey) };
};

describe('Signed statements of organisations', () => {
  it('count once for each member that signed, however they are mixed and repeated', () => {
    const index = fc.nat({ max: 6 });
    const statement = fc.tuple(index, index);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.array(statement, { maxLength: 12 }), (size, pairs) => {
        const members = organisations.slice(0, size);
        const honest = new Set(
          pairs.filter(([claimed, by]) => claimed === by && claimed < size).map(([claimed]) => claimed),
        );
        const valid = validStatements(
          pairs.map(([claimed, by]) => signedBy(claimed, by)),
          members,
          statementOf,
        );
        expect(valid.map(({ mspId }) => mspId)).to.deep.equal([...honest].sort().map((i) => `Org${i}MSP`));
        if (honest.size >= majorityOf(size)) {
          requireMajority(valid, members);
        } else {
          expectThrown(() => {
            requireMajority(valid, members);
          }, 'STATEMENTS_INSUFFICIENT');
        }
      }),
      { numRuns: 50 },
    );
  });
});
