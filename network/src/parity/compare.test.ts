// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { compareObservations, explains } from './compare.js';

describe('Comparing answers', () => {
  const differences = compareObservations(
    'theme/what happens',
    { same: { code: 'OK' }, other: { code: 'OK', details: ['a', 'b'] }, gone: 1 },
    { same: { code: 'OK' }, other: { code: 'OK', details: ['b', 'a'] }, new: null },
  );

  it('names every field that differs, is missing or is new', () => {
    expect(differences.map(({ field, recorded, seen }) => [field, recorded, seen])).to.deep.equal([
      ['gone', 1, undefined],
      ['new', undefined, null],
      ['other.details', ['a', 'b'], ['b', 'a']],
    ]);
  });

  it('takes a known difference for its own fields only', () => {
    const explained = (scenario: string, field: string): string[] =>
      differences.filter((one) => explains({ scenario, field, reason: '' }, one)).map((one) => one.field);
    expect(explained('theme/*', 'other.*')).to.deep.equal(['other.details']);
    expect(explained('*', '*')).to.have.length(3);
    expect(explained('theme', '*')).to.deep.equal([]);
    expect(explained('*', 'other')).to.deep.equal([]);
    expect(explained('*', 'other?details')).to.deep.equal([]);
  });
});
