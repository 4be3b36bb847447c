// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { parsePublicKey } from '../api';
import { signingKey } from '../testing/identities';
import { publicKeyOf } from './public-keys';

describe('Remembered public keys', () => {
  it('are those that parsing gives', () => {
    const { publicKey } = signingKey();
    const first = publicKeyOf(publicKey);
    expect(first?.equals(parsePublicKey(publicKey)!)).to.equal(true);
    expect(publicKeyOf(publicKey)).to.equal(first);
    expect(publicKeyOf('A'.repeat(120))).to.equal(undefined);
  });
});
