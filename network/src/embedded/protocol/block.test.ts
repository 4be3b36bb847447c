// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { blockHeaderBytes, newBlock } from './block.js';

describe('A block header', () => {
  it('is hashed in its ASN.1 form: number, previous hash, data hash', () => {
    const header = newBlock(300, Buffer.from('aa', 'hex'), [Buffer.from('x')]).getHeader()!;
    const dataHash = createHash('sha256').update('x').digest('hex');
    expect(blockHeaderBytes(header).toString('hex')).to.equal(`30290202012c0401aa0420${dataHash}`);
  });

  it('has a number in the shortest form that is not negative', () => {
    const bytes = (number: number): string =>
      blockHeaderBytes(newBlock(number, new Uint8Array(), []).getHeader()!).toString('hex');
    expect(bytes(0)).to.match(/^3027020100/);
    expect(bytes(128)).to.match(/^302802020080/);
  });
});
