// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalJson, hashOf, sha256Hex } from './canonical';
import { ContractError, ERROR_CODES, parseContractError, type ErrorCode } from './errors';
import { cohortHash, majorityOf, parameterCount, weightClassOf } from './rounds';
import { taskOf } from '../testing/learning';

describe('Canonical JSON', () => {
  it('is that of RFC 8785: sorted keys, shortest numbers, no spaces', () => {
    const text = canonicalJson({ '\u20ac': 'Euro', '\r': 1e21, numbers: [333333333.3333333, 1e30, 4.5, 2e-3] });
    expect(text).to.equal('{"\\r":1e+21,"numbers":[333333333.3333333,1e+30,4.5,0.002],"€":"Euro"}');
  });

  it('has no form for what JSON cannot carry', () => {
    expect(() => canonicalJson(undefined)).to.throw(TypeError);
    expect(() => canonicalJson(Number.NaN)).to.throw();
  });

  it('is the same for the same content', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(hashOf(reversed)).to.equal(hashOf(value));
      }),
    );
  });

  it('is hashed by SHA-256', () => {
    expect(sha256Hex('abc')).to.equal('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});

describe('Contract errors', () => {
  it('are found again in whatever a peer or gateway wraps around them', () => {
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      const { message } = new ContractError(code, 'the detail: with a colon');
      const found = parseContractError(`10 ABORTED: chaincode response 500, ${message}\nmore`);
      expect(found).to.include({ code, detail: 'the detail: with a colon' });
    }
    expect(parseContractError('14 UNAVAILABLE: No connection established')).to.equal(undefined);
    expect(parseContractError('NOT_A_CODE: x')).to.equal(undefined);
  });
});

describe('Rules that every party computes', () => {
  it('a majority is more than half, and two majorities share a member', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), (n) => {
        expect(majorityOf(n) * 2).to.be.greaterThan(n);
        expect((majorityOf(n) - 1) * 2).to.be.at.most(n);
      }),
    );
  });

  it('the hash of a cohort does not depend on the order of its updates, and on nothing less', () => {
    const update = fc.record({
      vehicleId: fc.uuid(),
      updateHash: fc.uuid(),
      weightClass: fc.integer({ min: 0, max: 3 }),
    });
    const cohort = fc.uniqueArray(update, { selector: (u) => u.vehicleId, minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(cohort, fc.nat(), (updates, seed) => {
        const shift = seed % updates.length;
        const permuted = [...updates.slice(shift), ...updates.slice(0, shift)].reverse();
        const [first, ...rest] = updates;
        expect(cohortHash(permuted)).to.equal(cohortHash(updates));
        expect(cohortHash(rest)).to.not.equal(cohortHash(updates));
        const changed = [{ ...first!, weightClass: first!.weightClass + 1 }, ...rest];
        expect(cohortHash(changed)).to.not.equal(cohortHash(updates));
      }),
    );
  });

  it('the parameters of a dense network are weights and biases of every layer', () => {
    expect(parameterCount([140, 64, 32, 1])).to.equal(141 * 64 + 65 * 32 + 33);
  });

  it('the weight class is the last whose bound is reached', () => {
    expect([0, 1, 99, 100, 5_000].map((n) => weightClassOf(taskOf(), n))).to.deep.equal([undefined, 0, 0, 1, 1]);
  });
});
