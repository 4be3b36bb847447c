// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { encodeSignature, P256_HALF_ORDER, parseSignature, toLowS } from './signature.js';

describe('ECDSA signatures', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  it('are read back as they were written', () => {
    const integer = fc.bigInt({ min: 1n, max: (1n << 256n) - 1n });
    fc.assert(
      fc.property(integer, integer, (r, s) => {
        expect(parseSignature(encodeSignature({ r, s }))).to.deep.equal({ r, s });
      }),
    );
  });

  it('hold for the same message with the lower S, which is the same for both of a pair', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (message) => {
        const low = toLowS(sign('sha256', message, privateKey));
        expect(parseSignature(low)!.s <= P256_HALF_ORDER).to.equal(true);
        expect(verify('sha256', message, publicKey, low)).to.equal(true);
        expect(toLowS(low)).to.deep.equal(low);
      }),
      { numRuns: 50 },
    );
  });

  it('are not read when a byte is missing, added or not the one way to write it', () => {
    const der = sign('sha256', Buffer.from('x'), privateKey);
    const negative = Buffer.from([0x30, 6, 2, 1, 0x80, 2, 1, 1]);
    const padded = Buffer.from([0x30, 7, 2, 2, 0, 1, 2, 1, 1]);
    const broken = [
      der.subarray(1),
      der.subarray(0, -1),
      Buffer.concat([der, Buffer.from([0])]),
      negative,
      padded,
      Buffer.alloc(0),
    ];
    for (const bytes of broken) {
      expect(parseSignature(bytes)).to.equal(undefined);
    }
  });
});
