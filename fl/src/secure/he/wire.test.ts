// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { HeError } from './errors.js';
import { HE_PARAMETERS, valuesPerCiphertext } from './parameters.js';
import { ciphertextsFromBytes, slotsFromBytes, slotsToBytes } from './wire.js';

const { polynomialDegree, plainModulus } = HE_PARAMETERS;

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as HeError).code;
  }
}

describe('Openings of homomorphic sums as bytes', () => {
  const chunks = [0, 1].map((chunk) =>
    Float64Array.from({ length: polynomialDegree }, (_, j) => (j * 2_097_143 + chunk) % plainModulus),
  );
  const length = valuesPerCiphertext(HE_PARAMETERS) + 1;

  it('come back as they were, the largest value below t too', () => {
    chunks[1]![7] = plainModulus - 1;
    expect(slotsFromBytes(slotsToBytes(chunks), length)).to.deep.equal(chunks);
  });

  it('are refused where they have another length or a value that is not below t', () => {
    const bytes = slotsToBytes(chunks);
    expect(codeOf(() => slotsFromBytes(bytes.subarray(1), length))).to.equal('OPENING_MALFORMED');
    expect(codeOf(() => slotsFromBytes(bytes, length - 1))).to.equal('OPENING_MALFORMED');
    const large = slotsToBytes([chunks[0]!, Float64Array.from(chunks[1]!).fill(plainModulus, 3, 4)]);
    expect(codeOf(() => slotsFromBytes(large, length))).to.equal('OPENING_MALFORMED');
  });

  it('of ciphertexts one after the other are cut where they should be, or refused', () => {
    const joined = Uint8Array.of(1, 2, 3, 4, 5, 6);
    expect(ciphertextsFromBytes(joined, 3)).to.deep.equal(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ].map((b) => Uint8Array.from(b)),
    );
    expect(ciphertextsFromBytes(Buffer.from(joined), 3)[1]!.buffer.byteLength).to.equal(2);
    expect(codeOf(() => ciphertextsFromBytes(joined, 4))).to.equal('CIPHERTEXT_MALFORMED');
    expect(codeOf(() => ciphertextsFromBytes(new Uint8Array(), 1))).to.equal('CIPHERTEXT_MALFORMED');
  });
});
