// SPDX-License-Identifier: Apache-2.0
import { createRequire } from 'node:module';
import { expect } from 'chai';
import fc from 'fast-check';
import { decodePolicy, parsePolicy, peersOf, principalsOf, satisfies } from './signature-policy.js';
import type { NodeOu } from './types.js';

interface KeyPolicy {
  addOrgs(role: string, ...mspIds: string[]): void;
  getPolicy(): Uint8Array;
}
const { KeyEndorsementPolicy } = createRequire(import.meta.url)('fabric-shim') as {
  KeyEndorsementPolicy: new () => KeyPolicy;
};

/** Signers written as `A.peer`. */
const signers = (...names: string[]) =>
  names.map((name) => {
    const [mspId = '', ou] = name.split('.');
    return { mspId, ou: ou as NodeOu };
  });
const holds = (policy: string, ...names: string[]): boolean => satisfies(parsePolicy(policy), signers(...names));

describe('Signature policies', () => {
  it('ask for one, all or some of their rules', () => {
    expect(holds("OR('A.peer', 'B.peer')", 'B.peer')).to.equal(true);
    expect(holds("AND('A.peer','B.peer')", 'B.peer')).to.equal(false);
    expect(holds('AND("A.peer", OR("B.peer", "C.peer"))', 'C.peer', 'A.peer')).to.equal(true);
    expect(holds("OutOf(2, 'A.peer', 'B.peer', 'C.peer')", 'A.peer', 'C.peer')).to.equal(true);
    expect(holds("OutOf(2, 'A.peer', 'B.peer', 'C.peer')", 'A.peer', 'A.client')).to.equal(false);
  });

  it('take every role for a member, and no role for another', () => {
    for (const role of ['peer', 'client', 'admin', 'orderer']) {
      expect(holds("OR('A.member')", `A.${role}`)).to.equal(true);
      expect(holds("OR('B.member')", `A.${role}`)).to.equal(false);
      expect(holds("OR('A.peer')", `A.${role}`)).to.equal(role === 'peer');
    }
  });

  it('count each signature once', () => {
    expect(holds("AND('A.member', 'A.member')", 'A.peer')).to.equal(false);
    expect(holds("AND('A.member', 'A.member')", 'A.peer', 'A.admin')).to.equal(true);
  });

  it('hold for more signers where they hold for fewer', () => {
    const names = fc.subarray(['A.peer', 'B.peer', 'C.peer', 'D.peer']);
    fc.assert(
      fc.property(names, names, fc.integer({ min: 1, max: 4 }), (some, more, n) => {
        const policy = peersOf(['A', 'B', 'C', 'D'], n);
        expect(satisfies(policy, signers(...some))).to.equal(some.length >= n);
        expect(
          !satisfies(policy, signers(...some)) || satisfies(policy, signers(...new Set([...some, ...more]))),
        ).to.equal(true);
      }),
    );
  });

  it('are read from what the shim makes for a key', () => {
    const policy = new KeyEndorsementPolicy();
    policy.addOrgs('PEER', 'A', 'B');
    policy.addOrgs('MEMBER', 'C');
    expect(decodePolicy(policy.getPolicy())).to.deep.equal(parsePolicy("AND('A.peer', 'B.peer', 'C.member')"));
  });

  it('are refused where they cannot be read', () => {
    for (const text of ['', "'A.peer'", 'OR(A.peer)', "OR('A.peer'", "OR('A.peer') x", "XOR('A.peer')"]) {
      expect(() => parsePolicy(text), text).to.throw(`invalid policy string '${text}'`);
    }
    expect(() => parsePolicy("OR('A.boss')")).to.throw("unrecognized token 'A.boss' in policy string");
    expect(() => parsePolicy('OR()')).to.throw("unrecognized token '' in policy string");
    expect(() => parsePolicy("OutOf(4, 'A.peer', 'B.peer')")).to.throw('invalid t-out-of-n predicate, t 4, n 2');
    expect(() => decodePolicy(Buffer.from([1, 2, 3]))).to.throw();
    expect(
      principalsOf(parsePolicy("OR('A.peer', AND('B.peer', 'C.client'))")).map(({ mspId }) => mspId),
    ).to.deep.equal(['A', 'B', 'C']);
  });
});
