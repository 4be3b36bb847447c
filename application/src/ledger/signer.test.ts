// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, verify } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { newPrivateKey } from '../identity/keys.js';
import { signLowS } from './signer.js';

const HALF_ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551') >> 1n;

describe('transaction signatures', () => {
  const key = newPrivateKey();
  const publicKey = createPublicKey(key);

  it('verify, and have s in the lower half of the order', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
        const signature = Buffer.from(signLowS(message, key));
        expect(verify('sha256', message, publicKey, signature)).to.equal(true);
        const rLength = signature[3]!;
        const s = signature.subarray(4 + rLength + 2);
        expect(s.length).to.equal(signature[4 + rLength + 1]);
        expect(BigInt(`0x${s.toString('hex')}`) <= HALF_ORDER).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });
});
