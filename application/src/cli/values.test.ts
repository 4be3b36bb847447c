// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { noneOrFrom } from './values.js';

describe('An option that takes none, or so many', () => {
  const parse = noneOrFrom(3, 16);

  it('takes 0 and what is within its bounds', () => {
    expect(['0', '3', '16'].map(parse)).to.deep.equal([0, 3, 16]);
  });

  it('says what it takes where it is given something else', () => {
    for (const text of ['1', '2', '17', '-3', '3.5', '', 'three']) {
      expect(() => parse(text), text).to.throw('It must be 0, or a whole number from 3 to 16.');
    }
  });
});
