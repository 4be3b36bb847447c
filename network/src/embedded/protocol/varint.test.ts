// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeVarint, encodeOrderPreserving, encodeVarint } from './varint.js';

const safeInteger = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe('Varints', () => {
  it('are read as they were written, wherever they stand', () => {
    fc.assert(
      fc.property(safeInteger, fc.uint8Array({ maxLength: 5 }), (value, before) => {
        const bytes = encodeVarint(value);
        const found = decodeVarint(Buffer.concat([before, bytes]), before.length);
        expect(found).to.deep.equal({ value, length: bytes.length });
      }),
    );
  });

  it('are not read from a buffer that ends inside them', () => {
    expect(decodeVarint(encodeVarint(300).subarray(0, 1), 0)).to.equal(undefined);
    expect(decodeVarint(Buffer.alloc(0), 0)).to.equal(undefined);
    expect(decodeVarint(Buffer.alloc(20, 0xff), 0)).to.equal(undefined);
  });

  it('have an encoding whose bytes are in the order of the numbers', () => {
    fc.assert(
      fc.property(safeInteger, safeInteger, (a, b) => {
        const order = Buffer.compare(encodeOrderPreserving(a), encodeOrderPreserving(b));
        expect(order).to.equal(Math.sign(a - b));
      }),
    );
    expect(encodeOrderPreserving(0).toString('hex')).to.equal('00');
    expect(encodeOrderPreserving(258).toString('hex')).to.equal('020102');
  });
});
